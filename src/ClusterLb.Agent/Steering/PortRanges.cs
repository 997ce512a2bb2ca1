using System.Collections;
using System.Globalization;

namespace ClusterLb.Agent.Steering;

/// <summary>A set of ports in the syntax of ip_local_reserved_ports: <c>8080,9000-9010</c>.</summary>
internal sealed class PortRanges
{
    private readonly BitArray _ports = new(65_536);

    /// <summary>Reads what the kernel wrote. Null and empty text are the empty set.</summary>
    public static PortRanges Parse(string? text)
    {
        var ranges = new PortRanges();
        foreach (string part in (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] ends = part.Split('-');
            ranges.Set(int.Parse(ends[0], CultureInfo.InvariantCulture), int.Parse(ends[^1], CultureInfo.InvariantCulture), true);
        }

        return ranges;
    }

    /// <summary>True if all ports of the range are in.</summary>
    public bool Contains(int first, int last)
    {
        for (int port = first; port <= last; port++)
        {
            if (!_ports[port])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Adds or removes a range, both ends included.</summary>
    public void Set(int first, int last, bool member)
    {
        for (int port = first; port <= last; port++)
        {
            _ports[port] = member;
        }
    }

    /// <summary>Removes all ports of another set.</summary>
    public void Remove(PortRanges others)
    {
        for (int port = 0; port < _ports.Length; port++)
        {
            _ports[port] &= !others._ports[port];
        }
    }

    /// <summary>Adds what <paramref name="other"/> has of <paramref name="which"/>.</summary>
    public void CopyFrom(PortRanges other, PortRanges which)
    {
        for (int port = 0; port < _ports.Length; port++)
        {
            _ports[port] |= other._ports[port] && which._ports[port];
        }
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        var parts = new List<string>();
        for (int port = 0; port < _ports.Length; port++)
        {
            if (!_ports[port])
            {
                continue;
            }

            int first = port;
            while (port + 1 < _ports.Length && _ports[port + 1])
            {
                port++;
            }

            parts.Add(first == port ? $"{first}" : $"{first}-{port}");
        }

        return string.Join(',', parts);
    }
}
