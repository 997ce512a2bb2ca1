using System.Text;
using System.Text.Json;

namespace ClusterLb.Agent.Steering;

/// <summary>What the kernel has, in the same canonical lines as <see cref="SteeringPlan"/>.</summary>
internal static class RoutingSnapshot
{
    /// <summary>All rules of a family, by priority.</summary>
    public static IReadOnlyList<string> Rules(bool ipv6)
    {
        string text = Tool.Run("ip", [Family(ipv6), "-j", "-N", "rule", "show"]);
        return Read<IReadOnlyList<string>>(text, list => [.. list.EnumerateArray().Select(Rule)]);
    }

    /// <summary>The routes of one table; none if there is no such table.</summary>
    public static IReadOnlyList<PlannedRoute> Routes(bool ipv6, int table)
    {
        string text = Tool.Run("ip", [Family(ipv6), "-j", "-N", "-d", "route", "show", "table", $"{table}"], tolerate: "FIB table does not exist");
        if (text.Length == 0)
        {
            return [];
        }

        return Read<IReadOnlyList<PlannedRoute>>(
            text, list => [.. list.EnumerateArray().Select(route => new PlannedRoute(table, Route(route, ipv6)))]);
    }

    /// <summary>The device, or null if there is no interface of that name.</summary>
    public static DeviceSnapshot? Device(string name)
    {
        string text = Tool.Run("ip", ["-j", "-d", "addr", "show", "dev", name], tolerate: "does not exist");
        if (text.Length == 0)
        {
            return null;
        }

        return Read(text, list => Device(list[0]));
    }

    /// <summary>The name of the TUN device with this alias, or null if there is none.</summary>
    public static string? DeviceByAlias(string alias)
    {
        using JsonDocument json = JsonDocument.Parse(Tool.Run("ip", ["-j", "link", "show", "type", "tun"]) is { Length: > 0 } text ? text : "[]");
        return json.RootElement.EnumerateArray().Where(link => Text(link, "ifalias") == alias).Select(link => Text(link, "ifname")).FirstOrDefault();
    }

    /// <summary>The option of ip that chooses the family.</summary>
    public static string Family(bool ipv6) => ipv6 ? "-6" : "-4";

    /// <summary>What <paramref name="take"/> finds in the output of ip.</summary>
    /// <exception cref="SteeringException">It is not JSON, or not of the expected shape.</exception>
    internal static T Read<T>(string text, Func<JsonElement, T> take)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(text);
            return take(json.RootElement);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            string start = text.Length <= MostQuoted ? text : text[..MostQuoted] + "…";
            throw new SteeringException($"Cannot read what 'ip -j' has written ({e.Message}): {start}", e);
        }
    }

    private const int MostQuoted = 200;

    private static DeviceSnapshot Device(JsonElement link) => new(
        Kind: link.TryGetProperty("linkinfo", out JsonElement info) ? Text(info, "info_kind") : "",
        Alias: Text(link, "ifalias"),
        IsUp: link.GetProperty("flags").EnumerateArray().Any(flag => flag.GetString() == "UP"),
        Mtu: link.GetProperty("mtu").GetInt32(),
        QueueLength: link.TryGetProperty("txqlen", out JsonElement length) ? length.GetInt32() : 0,
        Addresses: [.. link.GetProperty("addr_info").EnumerateArray().Select(address => $"{Text(address, "local")}/{address.GetProperty("prefixlen").GetInt32()}")]);

    /// <summary>One rule of <c>ip -j -N rule show</c>.</summary>
    internal static string Rule(JsonElement rule)
    {
        var line = new StringBuilder($"{rule.GetProperty("priority")}");
        foreach (JsonProperty property in rule.EnumerateObject())
        {
            switch (property.Name)
            {
                case "priority" or "protocol" or "fwmask" or "flags" or "iif_detached" or "oif_detached" or "unresolved":
                case "src" when property.Value.ToString() == "all":
                    break;
                case "fwmark":
                    string mask = rule.TryGetProperty("fwmask", out JsonElement given) ? given.ToString() : "0xffffffff";
                    line.Append($" fwmark {property.Value}/{mask}");
                    break;
                case "table":
                    line.Append($" lookup {TableName(property.Value.ToString())}");
                    break;
                default:
                    line.Append($" {property.Name} {property.Value}"); // iif, goto, and whatever others use
                    break;
            }
        }

        return line.ToString();
    }

    // {"type":"unicast","dst":"10.97.0.1","dev":"clb0","prefsrc":"10.0.0.1","metrics":[{"advmss":1460}]}
    private static string Route(JsonElement route, bool ipv6)
    {
        string type = Text(route, "type") is var text and not ("unicast" or "1" or "") ? TypeName(text) + " " : "";
        string destination = Text(route, "dst");
        var line = new StringBuilder(type);
        line.Append(destination == "default" || destination.Contains('/', StringComparison.Ordinal) ? destination : $"{destination}/{(ipv6 ? 128 : 32)}");
        if (type.Length == 0)
        {
            line.Append($" dev {Text(route, "dev")}"); // an unreachable IPv6 route says "dev lo"
        }

        if (Text(route, "prefsrc") is { Length: > 0 } source)
        {
            line.Append($" src {source}");
        }

        // IPv6 gives every route a metric; 1024 is what it chooses by itself.
        if (route.TryGetProperty("metric", out JsonElement metric) && !(ipv6 && metric.GetInt32() == 1024))
        {
            line.Append($" metric {metric}");
        }

        if (route.TryGetProperty("metrics", out JsonElement metrics) && metrics[0].TryGetProperty("advmss", out JsonElement segment))
        {
            line.Append($" advmss {segment}");
        }

        return line.ToString();
    }

    // With -N ip writes numbers, since names depend on files of the host (rt_tables) that need not tell the truth.
    private static string TableName(string number) => number switch { "255" => "local", "254" => "main", "253" => "default", _ => number };

    private static string TypeName(string number) => number == "7" ? "unreachable" : number;

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) ? value.ToString() : "";
}
