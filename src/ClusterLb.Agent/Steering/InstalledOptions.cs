using System.Globalization;

namespace ClusterLb.Agent.Steering;

/// <summary>Tables, priorities and the mark of steering that is installed, read from its rules: for when no record says them.</summary>
internal static class InstalledOptions
{
    private const NumberStyles HexDigits = NumberStyles.AllowHexSpecifier;

    /// <summary>The usual options, with everything in their place that the rules say otherwise.</summary>
    /// <param name="device">The device that was steered to.</param>
    /// <param name="rules">Of both families, as <see cref="RoutingSnapshot.Rules"/> writes them.</param>
    /// <param name="isOurs">True if a routing table has routes, and all of them are ours.</param>
    public static SteeringOptions Of(string device, IEnumerable<string> rules, Func<int, bool> isOurs)
    {
        var options = new SteeringOptions();
        foreach (string[] words in rules.Select(rule => rule.Split(' ')))
        {
            if (!int.TryParse(words[0], CultureInfo.InvariantCulture, out int priority))
            {
                continue;
            }

            options = words[1..] switch
            {
                ["iif", var name, "goto", var local] when name == device && Number(local) is { } target =>
                    options with { EmittedPriority = priority, LocalPriority = target },
                ["fwmark", var mark, "lookup", var table] when Bit(mark) is { } bit && Ours(table) is { } number =>
                    options with { MarkPriority = priority, ReplyMark = bit, MarkTable = number },
                ["lookup", var table] when Ours(table) is { } number =>
                    options with { ServicePriority = priority, ServiceTable = number },
                _ => options,
            };
        }

        return options;

        int? Ours(string table) => Number(table) is { } number && isOurs(number) ? number : null;
    }

    /// <summary>Devices that rules send past our own: what the dataplane emits skips them.</summary>
    public static IEnumerable<string> Devices(IEnumerable<string> rules) =>
        rules.Select(rule => rule.Split(' ')).Where(words => words is [_, "iif", _, "goto", _]).Select(words => words[2]).Distinct();

    private static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    // "0x10000/0x10000": ours is always one bit, and its own mask.
    private static uint? Bit(string mark) =>
        mark.Split('/') is [var value, var mask] && value == mask && value.StartsWith("0x", StringComparison.Ordinal)
        && uint.TryParse(value.AsSpan(2), HexDigits, CultureInfo.InvariantCulture, out uint bit) && uint.IsPow2(bit) ? bit : null;
}
