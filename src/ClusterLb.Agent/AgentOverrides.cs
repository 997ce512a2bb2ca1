using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using ClusterLb.Agent.Configuration;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent;

/// <summary>What flags or environment variables say over the configuration file. Null: nothing said.</summary>
/// <remarks>Flags beat the environment, the environment beats the file: <c>options = flags.Over(environment).ApplyTo(options)</c>.</remarks>
public sealed record AgentOverrides
{
    /// <summary><c>--config</c>, CLUSTERLB_CONFIG. Read by the caller: it is where the rest begins.</summary>
    public string? ConfigFile { get; init; }

    /// <summary><c>--state-dir</c>, CLUSTERLB_STATE_DIR.</summary>
    public string? StateDirectory { get; init; }

    /// <summary><c>--manifests</c>, CLUSTERLB_MANIFESTS.</summary>
    public string? ManifestDirectory { get; init; }

    /// <summary><c>--hostname-override</c>, NODE_NAME.</summary>
    public string? NodeName { get; init; }

    /// <summary><c>--kubeconfig</c>, CLUSTERLB_KUBECONFIG.</summary>
    public string? KubeconfigFile { get; init; }

    /// <summary><c>--proxy-mode</c>: which mode's block of the configuration counts. The dataplane is ours in any case.</summary>
    public string? ProxyMode { get; init; }

    /// <summary><c>--nodeport-addresses</c>: as the field, separated by commas.</summary>
    public string? NodePortAddresses { get; init; }

    /// <summary><c>--healthz-bind-address</c>, CLUSTERLB_HEALTHZ_BIND_ADDRESS: address, address:port, or empty for none.</summary>
    public string? HealthzBindAddress { get; init; }

    /// <summary><c>--metrics-bind-address</c>, CLUSTERLB_METRICS_BIND_ADDRESS: address, address:port, or empty for none.</summary>
    public string? MetricsBindAddress { get; init; }

    /// <summary><c>--v</c>, CLUSTERLB_V.</summary>
    public int? Verbosity { get; init; }

    /// <summary>What the environment says. A value that cannot be read is reported in <paramref name="problems"/>.</summary>
    /// <param name="variable">Usually <see cref="Environment.GetEnvironmentVariable(string)"/>.</param>
    /// <param name="problems">One line per bad variable is added.</param>
    public static AgentOverrides FromEnvironment(Func<string, string?> variable, ICollection<string> problems)
    {
        ArgumentNullException.ThrowIfNull(variable);
        ArgumentNullException.ThrowIfNull(problems);
        int? verbosity = null;
        if (Said("CLUSTERLB_V") is string text)
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int level))
            {
                verbosity = level;
            }
            else
            {
                problems.Add($"The environment variable CLUSTERLB_V is '{text}', but must be a number.");
            }
        }

        return new AgentOverrides
        {
            ConfigFile = Said("CLUSTERLB_CONFIG"),
            StateDirectory = Said("CLUSTERLB_STATE_DIR"),
            ManifestDirectory = Said("CLUSTERLB_MANIFESTS"),
            NodeName = Said("NODE_NAME"),
            KubeconfigFile = Said("CLUSTERLB_KUBECONFIG"),
            HealthzBindAddress = variable("CLUSTERLB_HEALTHZ_BIND_ADDRESS"),
            MetricsBindAddress = variable("CLUSTERLB_METRICS_BIND_ADDRESS"),
            Verbosity = verbosity,
        };

        string? Said(string name) => variable(name) is { Length: > 0 } value ? value : null;
    }

    /// <summary>These where they say something, else <paramref name="weaker"/>.</summary>
    public AgentOverrides Over(AgentOverrides weaker)
    {
        ArgumentNullException.ThrowIfNull(weaker);
        return new AgentOverrides
        {
            ConfigFile = ConfigFile ?? weaker.ConfigFile,
            StateDirectory = StateDirectory ?? weaker.StateDirectory,
            ManifestDirectory = ManifestDirectory ?? weaker.ManifestDirectory,
            NodeName = NodeName ?? weaker.NodeName,
            KubeconfigFile = KubeconfigFile ?? weaker.KubeconfigFile,
            ProxyMode = ProxyMode ?? weaker.ProxyMode,
            NodePortAddresses = NodePortAddresses ?? weaker.NodePortAddresses,
            HealthzBindAddress = HealthzBindAddress ?? weaker.HealthzBindAddress,
            MetricsBindAddress = MetricsBindAddress ?? weaker.MetricsBindAddress,
            Verbosity = Verbosity ?? weaker.Verbosity,
        };
    }

    /// <summary>The options with these applied. A value that cannot be read is reported in <paramref name="problems"/>.</summary>
    public AgentOptions ApplyTo(AgentOptions options, ICollection<string> problems)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(problems);
        if (ProxyMode is not (null or "" or "iptables" or "ipvs" or "nftables"))
        {
            problems.Add($"--proxy-mode is '{ProxyMode}', but must be empty, iptables, ipvs or nftables.");
        }

        return WithNodePortAddresses(options, problems) with
        {
            StateDirectory = StateDirectory is null ? options.StateDirectory : Path.GetFullPath(StateDirectory),
            ManifestDirectory = ManifestDirectory is null ? options.ManifestDirectory : Path.GetFullPath(ManifestDirectory),
            NodeName = NodeName ?? options.NodeName,
            KubeconfigFile = KubeconfigFile is null ? options.KubeconfigFile : Path.GetFullPath(KubeconfigFile),
            HealthzBindAddress = Address("--healthz-bind-address", HealthzBindAddress, options.HealthzBindAddress, 10256),
            MetricsBindAddress = Address("--metrics-bind-address", MetricsBindAddress, options.MetricsBindAddress, 10249),
            Verbosity = Verbosity ?? options.Verbosity,
            Flags = Said(),
        };

        IPEndPoint? Address(string flag, string? text, IPEndPoint? current, int defaultPort)
        {
            if (text is null)
            {
                return current;
            }

            if (!BindAddress.TryParse(text, defaultPort, out IPEndPoint? address))
            {
                problems.Add($"{flag} is '{text}', but must be address, address:port, or empty for none.");
            }

            return address;
        }
    }

    /// <summary>What is said, by the flag's name without dashes.</summary>
    private ImmutableDictionary<string, string> Said()
    {
        (string Flag, string? Value)[] all =
        [
            ("config", ConfigFile), ("state-dir", StateDirectory), ("manifests", ManifestDirectory), ("kubeconfig", KubeconfigFile),
            ("hostname-override", NodeName), ("proxy-mode", ProxyMode), ("nodeport-addresses", NodePortAddresses),
            ("healthz-bind-address", HealthzBindAddress), ("metrics-bind-address", MetricsBindAddress),
            ("v", Verbosity?.ToString(CultureInfo.InvariantCulture)),
        ];
        return all.Where(flag => flag.Value is not null).ToImmutableDictionary(flag => flag.Flag, flag => flag.Value!, StringComparer.Ordinal);
    }

    private AgentOptions WithNodePortAddresses(AgentOptions options, ICollection<string> problems)
    {
        const string Flag = "--nodeport-addresses";
        string[] texts = (NodePortAddresses ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return Configuration.NodePortAddresses.Apply(texts, options, Parse, what => problems.Add($"{Flag} {what}."));

        IpPrefix? Parse(string text)
        {
            if (IpPrefix.TryParse(text, out IpPrefix prefix))
            {
                return prefix;
            }

            problems.Add($"{Flag} has '{text}', which is not an address block (address/length).");
            return null;
        }
    }
}
