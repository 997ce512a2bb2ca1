namespace ClusterLb.Tests.Cli;

/// <summary>The objects that tests of the verbs begin with: a node, and a service "web" to whose slice each test adds its endpoints.</summary>
internal static class WebManifests
{
    public const string Node = """
        apiVersion: v1
        kind: Node
        metadata: { name: node-a }
        status: { addresses: [ { type: InternalIP, address: 192.168.0.2 } ] }
        ---

        """;

    /// <summary>10.96.0.10:80, backends at port 8080. Goes on with "endpoints:".</summary>
    public const string Web = """
        apiVersion: v1
        kind: Service
        metadata: { name: web, namespace: default }
        spec:
          clusterIP: 10.96.0.10
          clusterIPs: [10.96.0.10]
          ipFamilies: [IPv4]
          ports: [ { name: http, port: 80, protocol: TCP } ]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web } }
        addressType: IPv4
        ports: [ { name: http, port: 8080, protocol: TCP } ]

        """;
}
