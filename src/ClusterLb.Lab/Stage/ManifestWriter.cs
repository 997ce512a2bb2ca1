using System.Text;

namespace ClusterLb.Lab.Stage;

/// <summary>The objects that the Kubernetes API would hold for the lab's cluster, as YAML.</summary>
public static class ManifestWriter
{
    /// <summary>A Node object per node.</summary>
    public static string Nodes(LabTopology topology)
    {
        var yaml = new StringBuilder();
        foreach (LabNode node in topology.Nodes)
        {
            yaml.Append(
                $"""
                apiVersion: v1
                kind: Node
                metadata:
                  name: {node.Name}
                  uid: uid-{node.Name}
                  labels:
                    kubernetes.io/hostname: {node.Name}
                    topology.kubernetes.io/zone: zone-{node.Index}
                spec:
                  podCIDR: {node.PodCidr4}
                  podCIDRs: ["{node.PodCidr4}", "{node.PodCidr6}"]
                status:
                  addresses:
                    - type: InternalIP
                      address: {node.Ipv4}
                    - type: InternalIP
                      address: "{node.Ipv6}"
                    - type: Hostname
                      address: {node.Name}
                ---

                """);
        }

        return yaml.ToString();
    }

    /// <summary>A Service object and its EndpointSlices: per family, as many endpoints in each as it says.</summary>
    public static string Service(LabService service)
    {
        var yaml = new StringBuilder();
        yaml.Append(
            $"""
            apiVersion: v1
            kind: Service
            metadata:
              name: {service.Name}
              namespace: default
              uid: uid-service-{service.Name}
              annotations: {Annotations(service)}
            spec:
              type: {TypeOf(service)}
              clusterIP: {service.Ipv4}
              clusterIPs: ["{service.Ipv4}", "{service.Ipv6}"]
              ipFamilies: [IPv4, IPv6]
              ipFamilyPolicy: RequireDualStack
              internalTrafficPolicy: {(service.IsInternalLocal ? "Local" : "Cluster")}
              externalTrafficPolicy: {(service.Exposure is null ? "null" : service.Exposure.IsLocal ? "Local" : "Cluster")}
              externalIPs: {List(service.Exposure?.ExternalIps)}
              loadBalancerSourceRanges: {List(service.Exposure?.SourceRanges)}
              sessionAffinity: {(service.AffinitySeconds > 0 ? "ClientIP" : "None")}
              sessionAffinityConfig: {(service.AffinitySeconds > 0 ? $"{{clientIP: {{timeoutSeconds: {service.AffinitySeconds}}}}}" : "null")}
              selector:
                app: {service.Name}
              ports:

            """);
        foreach (LabServicePort port in service.Ports)
        {
            yaml.Append(
                $"""
                    - name: {port.Name}
                      port: {port.Port}
                      protocol: {port.Protocol}
                      targetPort: {port.TargetPort}
                      nodePort: {(service.Exposure is { } exposure ? exposure.FirstNodePort + port.Port : 0)}

                """);
        }

        yaml.Append($"status: {{loadBalancer: {{ingress: [{string.Join(", ", (service.Exposure?.LoadBalancerIps ?? []).Select(ip => $"{{ip: \"{ip}\", ipMode: VIP}}"))}]}}}}\n");

        foreach (bool ipv6 in (bool[])[false, true])
        {
            int number = 1;
            foreach (LabPod[] pods in service.Backends.Chunk(service.EndpointsPerSlice).DefaultIfEmpty([]))
            {
                AppendSlice(yaml, service, pods, ipv6, number++);
            }
        }

        return yaml.ToString();
    }

    private static string Annotations(LabService service) =>
        "{" + string.Join(", ", service.Annotations.Select(pair => $"\"{pair.Key}\": \"{pair.Value}\"")) + "}";

    private static string TypeOf(LabService service) => service.Exposure switch
    {
        null => "ClusterIP",
        { LoadBalancerIps.Count: > 0 } => "LoadBalancer",
        _ => "NodePort",
    };

    private static string List<T>(IEnumerable<T>? items) => $"[{string.Join(", ", (items ?? []).Select(item => $"\"{item}\""))}]";

    private static void AppendSlice(StringBuilder yaml, LabService service, LabPod[] pods, bool ipv6, int number)
    {
        yaml.Append(
            $"""
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: {service.Name}-{(ipv6 ? "v6" : "v4")}-{number}
              namespace: default
              uid: uid-slice-{service.Name}-{(ipv6 ? "v6" : "v4")}-{number}
              labels:
                kubernetes.io/service-name: {service.Name}
            addressType: {(ipv6 ? "IPv6" : "IPv4")}
            ports:

            """);
        foreach (LabServicePort port in service.Ports)
        {
            yaml.Append(
                $"""
                  - name: {port.Name}
                    port: {port.TargetPort}
                    protocol: {port.Protocol}

                """);
        }

        yaml.Append(pods.Length == 0 ? "endpoints: []\n" : "endpoints:\n");
        foreach (LabPod pod in pods)
        {
            string terminating = service.Terminating.Contains(pod) ? "true" : "false";
            string serving = service.NotReady.Contains(pod) ? "false" : "true";
            string ready = service.NotReady.Contains(pod) || service.Terminating.Contains(pod) ? "false" : "true";
            yaml.Append(
                $$"""
                  - addresses: ["{{(ipv6 ? pod.Ipv6 : pod.Ipv4)}}"]
                    conditions: {ready: {{ready}}, serving: {{serving}}, terminating: {{terminating}}}
                    nodeName: {{pod.Node.Name}}
                    targetRef: {kind: Pod, namespace: default, name: {{pod.Name}}}

                """);
        }
    }
}
