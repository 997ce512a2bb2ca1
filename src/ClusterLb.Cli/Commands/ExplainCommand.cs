using System.CommandLine;
using ClusterLb.Agent.Explain;
using ClusterLb.Agent.Explain.Vectors;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb explain</c>: what would happen to a packet, and why.</summary>
internal static class ExplainCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var protocol = new Argument<string?>("protocol") { Description = "tcp, udp, sctp or icmp", Arity = ArgumentArity.ZeroOrOne };
        var source = new Argument<string?>("source") { Description = "Client: ADDRESS[:PORT], [ADDRESS]:PORT for IPv6", Arity = ArgumentArity.ZeroOrOne };
        var destination = new Argument<string?>("destination") { Description = "What it dials: ADDRESS:PORT, [ADDRESS]:PORT", Arity = ArgumentArity.ZeroOrOne };
        var manifests = new ManifestOptions();
        var vectors = new Option<string[]>("--vectors")
        {
            Description = "Run the conformance vectors of a file instead; may be repeated. Exit status 1 if a flow fails",
            HelpName = "FILE",
            DefaultValueFactory = _ => [],
        };
        var command = new Command(
            "explain",
            "Tell what happens to the first packet of a connection, and why: real packets through the real pipeline, over a copy of " +
            "the maps of --state-dir, or of --manifests compiled by the real control plane")
        {
            protocol, source, destination, vectors,
        };
        manifests.AddTo(command);
        command.Validators.Add(result =>
        {
            bool isVectors = result.IsTyped(vectors);
            if (isVectors == result.IsTyped(protocol) || (!isVectors && !result.IsTyped(destination)))
            {
                result.AddError("say either protocol, source and destination (tcp 10.244.1.2:40000 10.96.0.10:80), or --vectors FILE");
            }
        });
        command.SetAction(async (parsed, _) =>
        {
            if (parsed.GetRequiredValue(vectors) is { Length: > 0 } files)
            {
                return RunVectors(files, common.Format(parsed, usual: OutputFormat.Json), terminal); // programs read it first of all
            }

            FlowTuple tuple = TupleText.Parse(
                parsed.GetRequiredValue(protocol)!, parsed.GetRequiredValue(source)!, parsed.GetRequiredValue(destination)!);
            using ExplainSource from = manifests.IsGiven(parsed)
                ? ExplainSource.OfManifests(manifests.Read(parsed), terminal)
                : ExplainSource.OfStateDir(common.StateDir(parsed));
            Explanation explanation = await from.WithDecisionsAsync(from.WithLiveFlow(new Explainer(from.Maps).Explain(tuple), tuple), tuple);
            if (common.Format(parsed) == OutputFormat.Json)
            {
                JsonOutput.WriteDocument(terminal.Out, explanation, OutputJson.Readable.Explanation);
            }
            else
            {
                ExplanationText.Write(explanation, terminal.Out);
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static int RunVectors(string[] files, OutputFormat format, Terminal terminal)
    {
        var report = new VectorReport { Cases = [.. files.SelectMany(VectorRunner.RunFile)] };
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, report, OutputJson.Readable.VectorReport);
        }
        else
        {
            VectorText.Write(report, terminal.Out);
        }

        return report.Failed == 0 ? ExitStatus.Success : ExitStatus.Failure;
    }
}
