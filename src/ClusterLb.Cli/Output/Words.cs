using ClusterLb.Agent.Capabilities;
using ClusterLb.Agent.Doctor;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>How addresses, flags and states are spelled: one word per thing, Cilium's where it has one.</summary>
internal static class Words
{
    private static readonly (ServiceFlags Flag, string Word)[] Flags =
    [
        (ServiceFlags.ExternalLocalScope, "ExternalLocal"),
        (ServiceFlags.InternalLocalScope, "InternalLocal"),
        (ServiceFlags.TwoScopes, "two-scopes"),
        (ServiceFlags.Affinity, "sessionAffinity"),
        (ServiceFlags.SourceRange, "check source-range"),
        (ServiceFlags.ResetIfGone, "reset-if-gone"),
        (ServiceFlags.KeepIfGone, "keep-if-gone"),
    ];

    /// <summary><c>10.96.0.10:80/TCP</c>, <c>[fd00::1]:80/UDP</c>.</summary>
    public static string AddressOf(IpAddr address, ushort port, IpProtocol protocol) =>
        $"{address.WithPort(port)}/{ProtocolOf(protocol)}";

    /// <inheritdoc cref="AddressOf(IpAddr, ushort, IpProtocol)"/>
    public static string AddressOf(BackendEntry backend) => AddressOf(backend.Address, backend.Port, backend.Protocol);

    /// <summary>TCP, UDP, SCTP, ICMP, ICMPv6, ANY, or the number.</summary>
    public static string ProtocolOf(IpProtocol protocol) => protocol switch
    {
        IpProtocol.IcmpV6 => "ICMPv6",
        _ => protocol.ToString().ToUpperInvariant(),
    };

    /// <summary>forward, reject, drop, pass.</summary>
    public static string VerdictOf(Verdict verdict) => verdict.ToString().ToLowerInvariant();

    /// <summary>active or terminating.</summary>
    public static string StateOf(BackendState state) => state == BackendState.Active ? "active" : "terminating";

    /// <summary>ok, warning, FAILED, not applicable.</summary>
    public static string CheckVerdictOf(CheckVerdict verdict) => verdict switch
    {
        CheckVerdict.Ok => "ok",
        CheckVerdict.Warning => "warning",
        CheckVerdict.Failed => "FAILED",
        _ => "not applicable",
    };

    /// <summary>yes, NO, unknown.</summary>
    public static string CapabilityOf(CapabilityState state) => state switch
    {
        CapabilityState.Yes => "yes",
        CapabilityState.No => "NO",
        _ => "unknown",
    };

    /// <summary>The kind of a frontend.</summary>
    public static string TypeOf(ServiceFlags flags)
    {
        if (flags.HasFlag(ServiceFlags.LoadBalancer))
        {
            return "LoadBalancer";
        }

        if (flags.HasFlag(ServiceFlags.NodePort))
        {
            return "NodePort";
        }

        return flags.HasFlag(ServiceFlags.ExternalIp) ? "ExternalIP" : "ClusterIP";
    }

    /// <summary>external or internal, and whether the slots are those of a canary.</summary>
    public static string ScopeOf(LookupScope scope) => scope switch
    {
        LookupScope.External => "external",
        LookupScope.Internal => "internal",
        LookupScope.ExternalCanary => "external canary",
        _ => "internal canary",
    };

    /// <summary>Kind and properties of a frontend.</summary>
    /// <param name="head">Its slot 0.</param>
    public static IReadOnlyList<string> FlagsOf(in ServiceEntry head)
    {
        ServiceFlags flags = head.Flags;
        List<string> words = [TypeOf(flags)];
        words.AddRange(Flags.Where(f => flags.HasFlag(f.Flag)).Select(f => f.Word));
        if (head.Algorithm > SelectionAlgorithm.Random)
        {
            words.Add(AlgorithmNames.Of(head.Algorithm));
        }

        if (flags.HasFlag(ServiceFlags.Split))
        {
            words.Add($"split {head.SharePercent}%");
        }

        if (!flags.HasFlag(ServiceFlags.Routable))
        {
            words.Add("non-routable");
        }

        return words;
    }
}
