using ClusterLb.Agent.Capabilities;

namespace ClusterLb.Cli.Output;

/// <summary>The table of capabilities, for <c>status</c> and <c>doctor</c>.</summary>
internal static class CapabilityText
{
    /// <summary>Prints it; what is lost is said only of what is missing.</summary>
    public static void Write(IReadOnlyList<Capability> capabilities, Terminal terminal)
    {
        var table = new TextTable("CAPABILITY", "HERE", "DETAIL");
        foreach (Capability capability in capabilities)
        {
            string lost = capability.State == CapabilityState.Yes || capability.Without.Length == 0 ? "" : $"; without it: {capability.Without}";
            table.Add(capability.Name, Words.CapabilityOf(capability.State), capability.Detail + lost);
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }
}
