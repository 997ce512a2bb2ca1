using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Configuration;

/// <summary>Where node ports answer, as <c>nodePortAddresses</c> and <c>--nodeport-addresses</c> write it: blocks, and the words for some.</summary>
internal static class NodePortAddresses
{
    private static readonly IpPrefix[] All = [IpPrefix.Parse("0.0.0.0/0"), IpPrefix.Parse("::/0")];
    private static readonly IpPrefix[] Localhost = [IpPrefix.Parse("127.0.0.0/8"), IpPrefix.Parse("::1/128")];

    /// <summary>The options with what the list says. An empty one says nothing: all addresses.</summary>
    /// <param name="texts">Blocks, <c>all</c>, <c>localhost</c>; or <c>primary</c> alone, as kube-proxy demands.</param>
    /// <param name="options">What was said before.</param>
    /// <param name="parse">Reads a block, or reports it and returns null.</param>
    /// <param name="problem">Reports the list.</param>
    public static AgentOptions Apply(
        IReadOnlyList<string> texts, AgentOptions options, Func<string, IpPrefix?> parse, Action<string> problem)
    {
        if (texts is ["primary"])
        {
            return options with { NodePortsOnPrimaryOnly = true, NodePortAddresses = [] };
        }

        if (texts.Contains("primary"))
        {
            problem("has 'primary' beside other addresses, but that must stand alone");
        }

        var prefixes = new List<IpPrefix>();
        foreach (string text in texts.Where(text => text != "primary"))
        {
            switch (text)
            {
                case "all":
                    prefixes.AddRange(All);
                    break;
                case "localhost":
                    prefixes.AddRange(Localhost);
                    break;
                default:
                    prefixes.AddRange(parse(text) is { } prefix ? [prefix] : []);
                    break;
            }
        }

        return texts.Count == 0 ? options : options with { NodePortAddresses = prefixes, NodePortsOnPrimaryOnly = false };
    }
}
