using System.Globalization;
using System.Text.RegularExpressions;

namespace ClusterLb.Testing.Metrics;

/// <summary>Reads Prometheus' text format 0.0.4 as strictly as its documentation is worded; whatever is loose throws.</summary>
public static partial class PrometheusChecker
{
    /// <summary>The families of a scrape, by name.</summary>
    /// <exception cref="FormatException">A line is not as it must be.</exception>
    public static IReadOnlyDictionary<string, PrometheusFamily> Read(string text)
    {
        Require(text.EndsWith('\n'), "the last line must end");
        var families = new Dictionary<string, PrometheusFamily>(StringComparer.Ordinal);
        string[] lines = text[..^1].Split('\n');
        for (int i = 0; i < lines.Length;)
        {
            Match help = Help().Match(lines[i++]);
            Require(help.Success, $"line {i} must be a HELP: {lines[i - 1]}");
            Match type = Type().Match(i < lines.Length ? lines[i++] : "");
            Require(type.Success && type.Groups[1].Value == help.Groups[1].Value, $"line {i} must be the TYPE of {help.Groups[1]}");
            int first = i;
            while (i < lines.Length && lines[i][0] != '#')
            {
                i++;
            }

            PrometheusFamily family = ReadFamily(type.Groups[1].Value, type.Groups[2].Value, lines[first..i]);
            Require(families.TryAdd(family.Name, family), $"{family.Name} is there twice");
        }

        return families;
    }

    private static PrometheusFamily ReadFamily(string name, string type, string[] lines)
    {
        Require(lines.Length > 0, $"{name} has no series");
        Require(type != "counter" || name.EndsWith("_total", StringComparison.Ordinal), $"the counter {name} must end in _total");
        var labels = new HashSet<string>(StringComparer.Ordinal);
        var series = new HashSet<string>(StringComparer.Ordinal);
        var buckets = new Dictionary<string, List<(string Bound, double Count)>>(StringComparer.Ordinal);
        var counts = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (string line in lines)
        {
            Match sample = Sample().Match(line);
            Require(sample.Success, $"not a sample: {line}");
            Require(series.Add(sample.Groups["series"].Value), $"a series is there twice: {line}");
            string suffix = sample.Groups["name"].Value[Math.Min(name.Length, sample.Groups["name"].Length)..];
            Require(sample.Groups["name"].Value.StartsWith(name, StringComparison.Ordinal)
                && (type == "histogram" ? suffix is "_bucket" or "_sum" or "_count" : suffix.Length == 0), $"{line} is not of {name}");
            double value = Number(sample.Groups["value"].Value);
            Require(type == "gauge" || value >= 0, $"negative: {line}");
            (string Key, string Value)[] pairs = [.. sample.Groups["key"].Captures.Zip(sample.Groups["label"].Captures, (k, v) => (k.Value, v.Value))];
            Require(pairs.DistinctBy(p => p.Key).Count() == pairs.Length, $"a label is there twice: {line}");
            labels.UnionWith(pairs.Select(p => p.Key).Where(key => key != "le"));
            string rest = string.Join(',', pairs.Where(p => p.Key != "le"));
            if (suffix == "_bucket")
            {
                (buckets.TryGetValue(rest, out List<(string, double)>? list) ? list : buckets[rest] = [])
                    .Add((pairs.Single(p => p.Key == "le").Value, value));
            }
            else if (suffix == "_count")
            {
                counts[rest] = value;
            }
        }

        foreach ((string key, List<(string Bound, double Count)> list) in buckets)
        {
            Require(list.Zip(list.Skip(1), (a, b) => a.Count <= b.Count && Number(a.Bound) < Number(b.Bound)).All(ok => ok), $"buckets of {name} must rise");
            Require(list[^1].Bound == "+Inf" && list[^1].Count == counts[key], $"the last bucket of {name} must be +Inf and hold all");
        }

        return new PrometheusFamily(name, type, labels, [.. buckets.Values.FirstOrDefault()?.Select(b => b.Bound) ?? []]);
    }

    private static double Number(string text) => text switch
    {
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        _ => double.Parse(text, CultureInfo.InvariantCulture),
    };

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new FormatException(what);
        }
    }

    [GeneratedRegex(@"^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\\n]|\\\\|\\n)+$")]
    private static partial Regex Help();

    [GeneratedRegex(@"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$")]
    private static partial Regex Type();

    [GeneratedRegex(@"^(?<series>(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:(?<key>[a-zA-Z_][a-zA-Z0-9_]*)=""(?<label>(?:[^""\\\n]|\\\\|\\""|\\n)*)""(?:,(?!\})|(?=\})))+\})?) (?<value>[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|Inf)|NaN)$")]
    private static partial Regex Sample();
}
