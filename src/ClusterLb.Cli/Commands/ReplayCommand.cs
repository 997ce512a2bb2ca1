using System.CommandLine;
using ClusterLb.Agent.Replay;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb replay</c>: what the dataplane would make of the packets of a capture.</summary>
internal static class ReplayCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var capture = new Argument<string>("capture") { Description = "A pcap file: Ethernet, raw IP, or of Linux's interface 'any'" };
        var write = new Option<string?>("--write", "-w")
        {
            Description = "Write what the dataplane would send to this pcap file",
            HelpName = "FILE",
        };
        var seed = new Option<ulong>("--seed")
        {
            Description = "Of the random choices: the same seed gives the same output",
            HelpName = "NUMBER",
            DefaultValueFactory = _ => 1,
        };
        var show = new Option<string>("--show")
        {
            Description = "packets: each of them, then the summary; summary: only what became of all of them",
            HelpName = "packets|summary",
            DefaultValueFactory = _ => "packets",
        };
        show.AcceptOnlyFromAmong("packets", "summary");
        var manifests = new ManifestOptions();
        var command = new Command(
            "replay",
            "Run the packets of a capture through the real pipeline, at the times of the capture, over a copy of the maps of --state-dir or over " +
            "--manifests; nothing is sent. Exit status 1 if a promise of the dataplane is broken")
        {
            capture, write, seed, show,
        };
        manifests.AddTo(command);
        command.SetAction(parsed =>
        {
            using ExplainSource from = manifests.IsGiven(parsed)
                ? ExplainSource.OfManifests(manifests.Read(parsed), terminal)
                : ExplainSource.OfStateDir(common.StateDir(parsed));
            string path = parsed.GetRequiredValue(capture);
            using PcapReader reader = Open(path);
            using PcapWriter? output = parsed.GetValue(write) is { } to ? Create(to, path) : null;
            using var replay = new PacketReplay(from.Maps, parsed.GetValue(seed), new FlowCapacities());
            bool isJson = common.Format(parsed) == OutputFormat.Json;
            bool isSummary = parsed.GetRequiredValue(show) == "summary";
            List<ReplayedPacket>? packets = isJson && !isSummary ? [] : null;
            foreach (CapturedPacket captured in ReadAll(reader, path))
            {
                ReplayedPacket packet = replay.Process(captured, output);
                packets?.Add(packet);
                if (!isJson && (packet.Broken is not null || !isSummary))
                {
                    ReplayText.WritePacket(packet, terminal.Out);
                }
            }

            ReplaySummary summary = replay.Summary;
            if (isJson)
            {
                JsonOutput.WriteDocument(terminal.Out, new ReplayView(packets, summary), OutputJson.Readable.ReplayView);
            }
            else
            {
                ReplayText.WriteSummary(summary, terminal.Out);
            }

            return summary.Broken == 0 ? ExitStatus.Success : ExitStatus.Failure;
        });
        return command;
    }

    private static PcapReader Open(string path)
    {
        try
        {
            return new PcapReader(new BufferedStream(File.OpenRead(path)));
        }
        catch (Exception e) when (e is PcapException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"cannot read the capture {path}", Why(e));
        }
    }

    private static IEnumerable<CapturedPacket> ReadAll(PcapReader reader, string path)
    {
        while (ReadOne(reader, path) is { } packet)
        {
            yield return packet;
        }
    }

    private static CapturedPacket? ReadOne(PcapReader reader, string path)
    {
        try
        {
            return reader.Read();
        }
        catch (Exception e) when (e is PcapException or IOException)
        {
            throw new CommandException($"cannot read the capture {path}", Why(e));
        }
    }

    private static PcapWriter Create(string path, string capture)
    {
        if (Path.GetFullPath(path) == Path.GetFullPath(capture))
        {
            throw new CommandException($"cannot write the capture {path}", "it is the one that is read");
        }

        try
        {
            return new PcapWriter(new BufferedStream(File.Create(path)));
        }
        catch (Exception e) when (e is PcapException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"cannot write the capture {path}", Why(e));
        }
    }

    private static string Why(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "there is no such file or directory",
        UnauthorizedAccessException => "it is a directory, or this user has no right to it",
        _ => e.Message,
    };
}
