using System.Globalization;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>A pod with agnhost that checks want on a node.</summary>
/// <param name="Name">Its name, which is also what it answers to /hostname.</param>
/// <param name="Node">Where it runs.</param>
/// <param name="App">Its label <c>app</c>, for selectors.</param>
internal sealed record PodOrder(string Name, string Node, string App)
{
    /// <summary>In its node's network: then it answers with the node's name.</summary>
    public bool IsOnHostNetwork { get; init; }

    public int HttpPort { get; init; } = 8080;

    public int UdpPort { get; init; } = 8081;

    /// <summary>How long it serves on after it is told to end, in seconds.</summary>
    public int ServesOnSeconds { get; init; }

    /// <summary>More of its specification, YAML of one line: <c>readinessGates: [...]</c>.</summary>
    public string More { get; init; } = "";

    /// <summary>More of its container, YAML of one line.</summary>
    public string MoreOfContainer { get; init; } = "";

    /// <summary>Its ports' declaration, by which names in services are found.</summary>
    public string Ports { get; init; } = "[{name: web, containerPort: 8080}, {name: datagram, containerPort: 8081, protocol: UDP}]";

    public string ToYaml(string kubernetesNamespace, string image)
    {
        string ports = IsOnHostNetwork ? "[]" : Ports;

        // A server that listens on no address in particular answers a datagram from the address that is nearest to its client, which
        // on a node is another one than was asked, with any service proxy: Kubernetes' own tests say the addresses, too.
        string listen = IsOnHostNetwork ? ", --udp-listen-addresses=$(POD_IPS)" : "";
        return string.Create(CultureInfo.InvariantCulture,
            $$"""
            apiVersion: v1
            kind: Pod
            metadata: {name: {{Name}}, namespace: {{kubernetesNamespace}}, labels: {app: {{App}}, pod: {{Name}}, place: {{Node}} } }
            spec:
              nodeName: {{Node}}
              hostNetwork: {{(IsOnHostNetwork ? "true" : "false")}}
              terminationGracePeriodSeconds: {{ServesOnSeconds + 1}}
              {{More}}
              containers:
                - name: agnhost
                  image: {{image}}
                  imagePullPolicy: IfNotPresent
                  command: [/agnhost, netexec, --http-port={{HttpPort}}, --udp-port={{UdpPort}}, --delay-shutdown={{ServesOnSeconds}}{{listen}}]
                  env: [{name: POD_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs} } }]
                  ports: {{ports}}
                  {{MoreOfContainer}}
            ---

            """);
    }
}
