namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>One string for equal texts: namespaces, node names, zones and port names occur in every object.</summary>
internal sealed class StringPool
{
    private const int Limit = 65_536; // names that come and go must not pile up; forgetting costs nothing but sharing

    private readonly HashSet<string> _strings = new(StringComparer.Ordinal);

    public string Share(string text)
    {
        if (_strings.TryGetValue(text, out string? known))
        {
            return known;
        }

        if (_strings.Count >= Limit)
        {
            _strings.Clear();
        }

        _strings.Add(text);
        return text;
    }
}
