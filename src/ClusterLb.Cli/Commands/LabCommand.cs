using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using ClusterLb.Cli.Output;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Demo;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Cli.Commands;

/// <summary>`clusterlb lab`: a cluster in network namespaces of this machine, without Kubernetes.</summary>
internal static class LabCommand
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);

    private static readonly Option<string> NameOption = new("--name")
    {
        Description = "The lab's name: prefix of its namespaces.",
        DefaultValueFactory = _ => LabOptions.DefaultName,
    };

    public static Command Create(CommonOptions common, Terminal terminal) => new("lab", "A cluster in network namespaces of this machine: nodes, pods, clients, agents.")
    {
        Up(), Down(), Status(common, terminal), Exec(), Connect(common), Demo(), Echo(),
    };

    private static Command Up()
    {
        var mtu = new Option<int>("--mtu") { Description = "Bytes of IP packet on every link.", DefaultValueFactory = _ => 1500, CustomParser = NumberText.Parse<int> };
        var noAgents = new Option<bool>("--no-agents") { Description = "Only the network and the pods, no ClusterLb." };
        var command = new Command("up", "Set the lab up and leave it running.") { NameOption, mtu, noAgents };
        command.SetAction((parsed, cancel) => GuardAsync(async () =>
        {
            var options = new LabOptions
            {
                Name = parsed.GetValue(NameOption)!,
                Mtu = parsed.GetValue(mtu),
                WithAgents = !parsed.GetValue(noAgents),
            };
            LabCluster lab = await LabCluster.UpAsync(options, Console.WriteLine, cancel);
            Console.WriteLine($"up; everything of it is in {lab.Folder}");
            Console.WriteLine($"try:  clusterlb lab exec{LabCluster.NameArgument(lab.Name)} client-a -- clusterlb lab connect 10.96.0.10:80");
            return 0;
        }));
        return command;
    }

    private static Command Down()
    {
        var command = new Command("down", "Take the lab down: processes, namespaces, files.") { NameOption };
        command.SetAction((parsed, _) => GuardAsync(() =>
        {
            string name = parsed.GetValue(NameOption)!;
            Console.WriteLine(LabCluster.Down(name) ? $"lab '{name}' is down" : $"there was no lab '{name}'");
            return Task.FromResult(0);
        }));
        return command;
    }

    private static Command Status(CommonOptions common, Terminal terminal)
    {
        var command = new Command("status", "What there is and how it is.") { NameOption };
        command.SetAction((parsed, cancel) => GuardAsync(async () =>
        {
            LabStatus status = await LabCluster.Open(parsed.GetValue(NameOption)!).StatusAsync(cancel);
            if (common.Format(parsed) == OutputFormat.Json)
            {
                Console.WriteLine(JsonSerializer.Serialize(status, LabJson.Readable.LabStatus));
            }
            else
            {
                Console.WriteLine($"lab {status.Name}, MTU {status.Mtu}, in {status.Folder}");
                var table = new TextTable("NAME", "KIND", "NODE", "ADDRESSES", "PROCESSES", "STATE");
                foreach (LabMember m in status.Members)
                {
                    table.Add(m.Name, m.Kind, m.Node, string.Join('\n', m.Addresses), string.Join(' ', m.Processes), m.State);
                }

                table.WriteTo(terminal.Out, terminal.Width);
            }

            return status.Members.Any(m => m.State is "missing" or "unhealthy") ? 1 : 0;
        }));
        return command;
    }

    private static Command Exec()
    {
        var member = new Argument<string>("node-or-pod") { Description = "node-a, web-1, client ...: see `lab status`." };
        var words = new Argument<string[]>("command") { Description = "After --, a program and its arguments.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("exec", "Run a program in the network of a node, pod or client.") { NameOption, member, words };
        command.SetAction((parsed, _) => GuardAsync(() =>
        {
            LabCluster lab = LabCluster.Open(parsed.GetValue(NameOption)!);
            string[] line = parsed.GetValue(words)!;
            // The lab's own program by its short name, wherever it is.
            IReadOnlyList<string> program = line[0] == "clusterlb" ? lab.Program : [line[0]];
            var start = new ProcessStartInfo("nsenter") { UseShellExecute = false };
            foreach (string word in (string[])[$"--net={lab.Namespace(parsed.GetValue(member)!).Path}", .. program, .. line[1..]])
            {
                start.ArgumentList.Add(word);
            }

            if (lab.Agents.FirstOrDefault(agent => agent.Node.Name == parsed.GetValue(member)) is { } agent)
            {
                start.Environment.TryAdd(CommonOptions.StateDirVariable, agent.StateDirectory);
            }

            using Process process = Process.Start(start)!;
            process.WaitForExit();
            return Task.FromResult(process.ExitCode);
        }));
        return command;
    }

    private static Command Connect(CommonOptions common)
    {
        var address = new Argument<string>("address") { Description = "ADDRESS:PORT or [ADDRESS]:PORT." };
        var protocol = new Option<ConnectProtocol>("--protocol") { Description = "Http, Tcp or Udp.", DefaultValueFactory = _ => ConnectProtocol.Http };
        var count = new Option<int>("--count", "-n") { Description = "Connections.", DefaultValueFactory = _ => 1, CustomParser = NumberText.Parse<int> };
        var concurrency = new Option<int>("--concurrency", "-c") { Description = "At the same time.", DefaultValueFactory = _ => 8, CustomParser = NumberText.Parse<int> };
        var command = new Command("connect", "Dial echo servers and tell who answered.") { address, protocol, count, concurrency };
        command.SetAction((parsed, cancel) => GuardAsync(async () =>
        {
            if (!IPEndPoint.TryParse(parsed.GetValue(address)!, out IPEndPoint? target) || target.Port == 0)
            {
                throw new LabException($"'{parsed.GetValue(address)}' is not an address and a port: 10.96.0.10:80 or [fd10:96::a]:80.");
            }

            ConnectReport report = await Connector.RunAsync(
                new TrafficTarget(target), parsed.GetValue(protocol), parsed.GetValue(count), parsed.GetValue(concurrency), ConnectTimeout, cancel);
            Console.WriteLine(common.Format(parsed) == OutputFormat.Json
                ? JsonSerializer.Serialize(report, LabJson.Readable.ConnectReport)
                : Describe(report));
            return report.Succeeded == report.Connections ? 0 : 1;
        }));
        return command;
    }

    private static Command Demo()
    {
        var name = new Option<string>("--name") { Description = "The lab's name.", DefaultValueFactory = _ => DemoRun.DefaultName };
        var command = new Command("demo", "Set a lab up, balance real connections, show who did it, take it down.") { name };
        command.SetAction((parsed, cancel) => GuardAsync(async () =>
            await DemoRun.RunAsync(parsed.GetValue(name)!, Console.WriteLine, cancel) ? 0 : 1));
        return command;
    }

    private static Command Echo()
    {
        var lab = new Option<string?>("--lab") { Description = "Serve for all pods of this lab (started by `lab up`)." };
        var pod = new Option<string>("--pod") { Description = "Name to answer with.", DefaultValueFactory = _ => Environment.MachineName };
        var node = new Option<string>("--node") { Description = "Node to answer with.", DefaultValueFactory = _ => "" };
        var command = new Command("echo", "The echo server of a pod: HTTP on 8080, TCP and UDP on 8081.") { lab, pod, node };
        command.SetAction((parsed, cancel) => GuardAsync(async () =>
        {
            if (parsed.GetValue(lab) is { } name)
            {
                return await LabKeeper.RunAsync(name, cancel);
            }

            using var server = new EchoServer(parsed.GetValue(pod)!, parsed.GetValue(node)!, [IPAddress.Any, IPAddress.IPv6Any],
                (family, type, kind) => new System.Net.Sockets.Socket(family, type, kind));
            server.Start();
            await Task.Delay(Timeout.Infinite, cancel);
            return 0;
        }));
        return command;
    }

    private static string Describe(ConnectReport report)
    {
        IEnumerable<string> lines =
        [
            $"{report.Target} {report.Protocol}: {report.Succeeded} of {report.Connections} answered, " +
            $"median {report.MedianMs} ms, 99 % {report.P99Ms} ms, slowest {report.MaxMs} ms",
            .. report.AnsweredBy.Select(p => $"  {p.Key,-12} {p.Value,6}"),
            .. report.Failures.Select(f => $"  {f.Key,-12} {f.Value,6}  failed"),
            $"  client address seen: {string.Join(", ", report.Clients)}",
        ];
        return string.Join('\n', lines);
    }

    private static async Task<int> GuardAsync(Func<Task<int>> work)
    {
        try
        {
            return await work();
        }
        catch (LabException e)
        {
            await Console.Error.WriteLineAsync($"clusterlb: {e.Message}");
            return 1;
        }
        catch (OperationCanceledException)
        {
            return 130; // Ctrl-C, as shells count it
        }
    }
}
