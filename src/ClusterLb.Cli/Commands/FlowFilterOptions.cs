using System.CommandLine;
using System.CommandLine.Parsing;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;

namespace ClusterLb.Cli.Commands;

/// <summary>Options that say which flows are meant; all given must hold.</summary>
internal sealed class FlowFilterOptions
{
    private readonly Option<string?> _protocol = new("--protocol") { Description = "Only this protocol", HelpName = "tcp|udp|sctp|icmp" };
    private readonly Option<IpPrefix?> _client = Address("--client", "Only flows of this client");
    private readonly Option<IpPrefix?> _frontend = Address("--frontend", "Only flows to this address");
    private readonly Option<ushort?> _port = new("--port")
    {
        Description = "Only flows to this port",
        HelpName = "PORT",
        CustomParser = result => NumberText.Parse<ushort>(result),
    };

    private readonly Option<IpPrefix?> _backend = Address("--backend", "Only flows that go to this backend");

    /// <summary>Adds the options, and Cilium's word for the one table there is.</summary>
    public void AddTo(Command command)
    {
        _protocol.AcceptOnlyFromAmong("tcp", "udp", "sctp", "icmp");
        command.Add(new Argument<string?>("global") { Description = "The table; there is one", Arity = ArgumentArity.ZeroOrOne, Hidden = true });
        command.Add(_protocol);
        command.Add(_client);
        command.Add(_frontend);
        command.Add(_port);
        command.Add(_backend);
    }

    /// <summary>The filter that was typed.</summary>
    public FlowFilter Read(ParseResult parsed) => new()
    {
        Protocol = parsed.GetValue(_protocol) is { } name ? Enum.Parse<IpProtocol>(name, ignoreCase: true) : null,
        Client = parsed.GetValue(_client),
        Frontend = parsed.GetValue(_frontend),
        FrontendPort = parsed.GetValue(_port),
        Backend = parsed.GetValue(_backend),
    };

    private static Option<IpPrefix?> Address(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "ADDRESS",
        CustomParser = Parse,
    };

    private static IpPrefix? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (IpAddr.TryParse(text, out IpAddr address))
        {
            return IpPrefix.Host(address);
        }

        result.AddError($"'{text}' is not an IP address");
        return null;
    }
}
