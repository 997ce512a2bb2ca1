using System.Globalization;
using ClusterLb.Dataplane;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ClusterLb.Agent.Configuration;

/// <summary>One mapping of a configuration document. Every read names a field that is known; what was never read is unknown.</summary>
/// <remarks>A value of the wrong kind becomes a line in the problems and the default, so that all of them are found at once.</remarks>
internal sealed class YamlSection
{
    private readonly string _path;
    private readonly ConfigurationFindings _findings;
    private readonly Dictionary<string, YamlNode> _fields = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _lines = new(StringComparer.Ordinal);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<YamlSection> _children = [];

    private YamlSection(string path, YamlNode? node, ConfigurationFindings findings)
    {
        _path = path;
        _findings = findings;
        if (node is YamlMappingNode mapping)
        {
            foreach ((YamlNode key, YamlNode value) in mapping.Children)
            {
                _fields[key.ToString()] = value;
                _lines[key.ToString()] = key.Start.Line;
            }
        }
        else if (node is not null && !IsNull(node))
        {
            Problem(path.TrimEnd('.'), node, "must be a mapping");
        }
    }

    /// <summary>The top of a document.</summary>
    public static YamlSection Root(YamlNode node, ConfigurationFindings findings) => new("", node, findings);

    /// <summary>A field that is a mapping; an empty one if it is not there.</summary>
    public YamlSection Section(string name)
    {
        var section = new YamlSection($"{_path}{name}.", Take(name), _findings);
        _children.Add(section);
        return section;
    }

    /// <summary>Fields that are accepted and have no effect.</summary>
    public void Accept(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            _known.Add(name);
        }
    }

    /// <summary>A field that is accepted and has no effect. If it asks for something, a warning says why that is not given.</summary>
    /// <param name="name">The field; a mapping is taken with all that is below it.</param>
    /// <param name="because">Half a sentence.</param>
    public void Ignore(string name, string because)
    {
        if (Take(name) is { } node && !IsZero(node))
        {
            Warning(name, $"is {Shown(node)}, which has no effect: {because}");
        }
    }

    /// <summary>True if the field is there and not null.</summary>
    public bool Has(string name) => _fields.TryGetValue(name, out YamlNode? node) && !IsNull(node);

    /// <summary>Text, or null if the field is not there.</summary>
    public string? Text(string name)
    {
        YamlNode? node = Take(name);
        if (node is null or YamlScalarNode)
        {
            return (node as YamlScalarNode)?.Value;
        }

        Problem(_path + name, node, "must be text");
        return null;
    }

    /// <summary>true or false.</summary>
    public bool Flag(string name, bool otherwise) => Read(name, otherwise, "must be true or false", (string text, out bool value) =>
        bool.TryParse(text, out value));

    /// <summary>A whole number, decimal or 0x hexadecimal.</summary>
    public long Number(string name, long otherwise) => Read(name, otherwise, "must be a whole number", TryNumber);

    /// <summary>A whole number of 32 bits.</summary>
    public int Int(string name, int otherwise) => Read(name, otherwise, "must be a whole number of 32 bits", (string text, out int value) =>
    {
        bool ok = TryNumber(text, out long number) && number is >= int.MinValue and <= int.MaxValue;
        value = ok ? (int)number : 0;
        return ok;
    });

    /// <summary>A whole number of 32 bits in a range, both ends included.</summary>
    public int Int(string name, int otherwise, int min, int max)
    {
        int value = Int(name, otherwise);
        if (value >= min && value <= max)
        {
            return value;
        }

        Problem(name, max == int.MaxValue ? $"is {value}, but must not be less than {min}" : $"is {value}, but must be from {min} to {max}");
        return otherwise;
    }

    /// <summary>A duration such as 30s, not negative. Zero stands for the default, as in kube-proxy, unless <paramref name="zeroIsValue"/>.</summary>
    public TimeSpan Duration(string name, TimeSpan otherwise, bool zeroIsValue = false)
    {
        TimeSpan value = Read(name, otherwise, "must be a duration such as 30s or 1h30m", (string text, out TimeSpan read) =>
            GoDuration.TryParse(text, out read));
        if (value < TimeSpan.Zero)
        {
            Problem(name, $"is '{Text(name)}', but must not be negative");
            return otherwise;
        }

        return value == TimeSpan.Zero && !zeroIsValue ? otherwise : value;
    }

    /// <summary>Anything that a parser reads from one scalar.</summary>
    public T Read<T>(string name, T otherwise, string expected, TryParser<T> parser)
    {
        YamlNode? node = Take(name);
        if (node is null)
        {
            return otherwise;
        }

        if (node is YamlScalarNode { Value: string text } && parser(text, out T value))
        {
            return value;
        }

        Problem(_path + name, node, expected);
        return otherwise;
    }

    /// <summary>A list of scalars; one scalar with commas is a list too.</summary>
    public IReadOnlyList<string> List(string name)
    {
        switch (Take(name))
        {
            case null:
                return [];
            case YamlScalarNode scalar:
                return (scalar.Value ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            case YamlSequenceNode sequence when sequence.Children.All(child => child is YamlScalarNode):
                return [.. sequence.Children.Select(child => ((YamlScalarNode)child).Value ?? "")];
            case YamlNode node:
                Problem(_path + name, node, "must be a list of texts");
                return [];
        }
    }

    /// <summary>A list of address blocks.</summary>
    public IReadOnlyList<IpPrefix> Prefixes(string name)
    {
        var prefixes = new List<IpPrefix>();
        foreach (string text in List(name))
        {
            if (TryPrefix(name, text) is { } prefix)
            {
                prefixes.Add(prefix);
            }
        }

        return prefixes;
    }

    /// <summary>An address block that stands in a list; if it is none, that is a problem of the field.</summary>
    public IpPrefix? TryPrefix(string name, string text)
    {
        if (IpPrefix.TryParse(text, out IpPrefix prefix))
        {
            return prefix;
        }

        Problem(name, $"has '{text}', which is not an address block (address/length)");
        return null;
    }

    /// <summary>Reports a field of this section.</summary>
    public void Problem(string name, string what) => _findings.AddProblem($"{Where(name)}: {_path}{name} {what}.");

    /// <summary>Reports a field of this section that is accepted, but not as its author may expect.</summary>
    public void Warning(string name, string what) => _findings.Warnings.Add($"{Where(name)}: {_path}{name} {what}.");

    /// <summary>Warns of every field that nobody asked for, here and below.</summary>
    public void WarnOfUnknownFields()
    {
        foreach (string name in _fields.Keys)
        {
            if (!_known.Contains(name))
            {
                _findings.Warnings.Add($"{Where(name)}: unknown field {_path}{name}, ignored.");
            }
        }

        _children.ForEach(child => child.WarnOfUnknownFields());
    }

    /// <summary>Reads a value from text.</summary>
    public delegate bool TryParser<T>(string text, out T value);

    private YamlNode? Take(string name)
    {
        _known.Add(name);
        return _fields.TryGetValue(name, out YamlNode? node) && !IsNull(node) ? node : null;
    }

    private void Problem(string path, YamlNode node, string expected) =>
        _findings.AddProblem($"{_findings.Source}:{node.Start.Line}: {path} is {Shown(node)}, but {expected}.");

    private string Where(string name) =>
        _lines.TryGetValue(name, out long line) ? $"{_findings.Source}:{line}" : _findings.Source;

    private static string Shown(YamlNode node) =>
        node is YamlScalarNode scalar ? $"'{scalar.Value}'" : node is YamlMappingNode ? "a mapping" : "a list";

    // What Go leaves out, or writes for a field that nobody set: it asks for nothing.
    private static bool IsZero(YamlNode node) => node switch
    {
        YamlMappingNode mapping => mapping.Children.Values.All(IsZero),
        YamlSequenceNode sequence => sequence.Children.Count == 0,
        YamlScalarNode scalar => IsNull(scalar) || scalar.Value is "" or "0" or "0s" or "0.0" or "false",
        _ => false,
    };

    private static bool TryNumber(string text, out long value) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    private static bool IsNull(YamlNode node) =>
        node is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "null" or "~" or "Null" or "NULL" };
}
