using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>Kubernetes objects as the API has them, for tests.</summary>
public static class ApiObjects
{
    /// <summary>A service with one TCP port "http" 80, at this cluster IP; its family is the address's.</summary>
    public static JsonObject Service(string ns, string name, string clusterIp) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Service",
        ["metadata"] = Metadata(ns, name),
        ["spec"] = new JsonObject
        {
            ["clusterIP"] = clusterIp,
            ["clusterIPs"] = new JsonArray(clusterIp),
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 80, ["protocol"] = "TCP", ["targetPort"] = 8080 }),
        },
    };

    /// <summary>A slice of a service with port "http" 8080 and ready endpoints.</summary>
    public static JsonObject Slice(string ns, string service, string part, params IEnumerable<string> addresses)
    {
        string[] all = [.. addresses];
        JsonObject metadata = Metadata(ns, $"{service}-{part}");
        metadata["labels"] = new JsonObject { ["kubernetes.io/service-name"] = service };
        return new JsonObject
        {
            ["apiVersion"] = "discovery.k8s.io/v1",
            ["kind"] = "EndpointSlice",
            ["metadata"] = metadata,
            ["addressType"] = all.Length > 0 && all[0].Contains(':', StringComparison.Ordinal) ? "IPv6" : "IPv4",
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 8080, ["protocol"] = "TCP" }),
            ["endpoints"] = Endpoints(all),
        };
    }

    /// <summary>Ready endpoints on node-b.</summary>
    public static JsonArray Endpoints(params IEnumerable<string> addresses) => new([.. addresses.Select(a => Endpoint(a))]);

    /// <summary>One endpoint.</summary>
    public static JsonObject Endpoint(string address, bool ready = true, bool terminating = false, string node = "node-b", string? forZone = null)
    {
        var endpoint = new JsonObject
        {
            ["addresses"] = new JsonArray(address),
            ["conditions"] = new JsonObject { ["ready"] = ready, ["serving"] = ready || terminating, ["terminating"] = terminating },
            ["nodeName"] = node,
        };
        if (forZone is not null)
        {
            endpoint["hints"] = new JsonObject { ["forZones"] = new JsonArray(new JsonObject { ["name"] = forZone }) };
        }

        return endpoint;
    }

    /// <summary>A node in a zone.</summary>
    public static JsonObject Node(string name, string zone)
    {
        JsonObject metadata = Metadata("", name);
        metadata["labels"] = new JsonObject { ["topology.kubernetes.io/zone"] = zone };
        return new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Node", ["metadata"] = metadata };
    }

    /// <summary>A pod that some node is said to run; its status is patched apart, as kubelet does it.</summary>
    public static JsonObject Pod(string ns, string name, string app, string node)
    {
        JsonObject metadata = Metadata(ns, name);
        metadata["labels"] = new JsonObject { ["app"] = app };
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = metadata,
            ["spec"] = new JsonObject
            {
                ["nodeName"] = node,
                ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "none" }),
            },
        };
    }

    private static JsonObject Metadata(string ns, string name)
    {
        var metadata = new JsonObject { ["name"] = name };
        if (ns.Length > 0)
        {
            metadata["namespace"] = ns;
        }

        return metadata;
    }
}
