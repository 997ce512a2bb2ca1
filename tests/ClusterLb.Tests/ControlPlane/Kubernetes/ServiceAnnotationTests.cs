using System.Text.Json;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.ControlPlane.Kubernetes;

public sealed class ServiceAnnotationTests
{
    [Theory]
    [InlineData("clusterlb.io/lb-algorithm", "maglev", SelectionAlgorithm.Maglev)]
    [InlineData("clusterlb.io/lb-algorithm", "least-connections", SelectionAlgorithm.LeastConnections)]
    [InlineData("clusterlb.io/lb-algorithm", "sed", SelectionAlgorithm.ShortestExpectedDelay)]
    [InlineData("service.cilium.io/lb-algorithm", "random", SelectionAlgorithm.Random)]
    [InlineData("service.cilium.io/lb-algorithm", "maglev", SelectionAlgorithm.Maglev)]
    [InlineData("other.io/lb-algorithm", "maglev", SelectionAlgorithm.Default)]
    public void An_algorithm_is_read(string annotation, string value, SelectionAlgorithm expected)
    {
        (Service service, string[] problems) = Read((annotation, value));

        Assert.Equal(expected, service.Algorithm);
        Assert.Empty(problems);
    }

    [Theory]
    [InlineData("drain", BackendGonePolicy.Drain)]
    [InlineData("reset", BackendGonePolicy.Reset)]
    [InlineData("keep", BackendGonePolicy.Keep)]
    public void What_becomes_of_connections_whose_backend_has_left_is_read(string value, BackendGonePolicy expected)
    {
        (Service service, string[] problems) = Read(("clusterlb.io/on-backend-gone", value));

        Assert.Equal(expected, service.BackendGone);
        Assert.Empty(problems);
    }

    [Fact]
    public void Our_own_annotation_is_stronger_than_Ciliums()
    {
        Assert.Equal(SelectionAlgorithm.RoundRobin, Read(("service.cilium.io/lb-algorithm", "maglev"), ("clusterlb.io/lb-algorithm", "rr")).Service.Algorithm);
    }

    [Theory]
    [InlineData("clusterlb.io/lb-algorithm", "fastest", "metadata.annotations[clusterlb.io/lb-algorithm]: \"fastest\" is no algorithm")]
    [InlineData("clusterlb.io/split", "web-canary", "is not SERVICE=PERCENT")]
    [InlineData("clusterlb.io/split", "web-canary=ten", "is not SERVICE=PERCENT")]
    [InlineData("clusterlb.io/split", "=10", "is not SERVICE=PERCENT")]
    [InlineData("clusterlb.io/split", "", "is not SERVICE=PERCENT")]
    [InlineData("clusterlb.io/split", "Web_Canary=10", "is not SERVICE=PERCENT")]
    [InlineData("clusterlb.io/split", "a=60,b=50", "more than one service")]
    [InlineData("clusterlb.io/split", "web-canary=101", "from 1 to 100")]
    [InlineData("clusterlb.io/split", "web-canary=0", "from 1 to 100")]
    [InlineData("clusterlb.io/split", "web=10", "names the service itself")]
    [InlineData("clusterlb.io/lb-algoritm", "maglev", "The nearest one is clusterlb.io/lb-algorithm")]
    [InlineData("clusterlb.io/on-backend-gone", "restart", "\"restart\" is no such policy; it is ignored. Known are drain, reset, keep")]
    [InlineData("clusterlb.io/on-backend-go", "reset", "The nearest one is clusterlb.io/on-backend-gone")]
    [InlineData("clusterlb.io/canary-split", "x", "The nearest one is clusterlb.io/split")]
    public void What_is_wrong_is_told_and_has_no_effect(string annotation, string value, string expected)
    {
        (Service service, string[] problems) = Read((annotation, value));

        Assert.Contains(expected, Assert.Single(problems), StringComparison.Ordinal);
        Assert.Equal((SelectionAlgorithm.Default, null, BackendGonePolicy.Default), (service.Algorithm, service.Split, service.BackendGone));
        Assert.Single(service.Ports);
    }

    [Theory]
    [InlineData("web-canary=10")]
    [InlineData(" web-canary = 10% ")]
    public void A_split_is_read(string value)
    {
        Assert.Equal(new TrafficSplit(new ObjectName("shop", "web-canary"), 10), Read(("clusterlb.io/split", value)).Service.Split);
    }

    private static (Service Service, string[] Problems) Read(params (string Name, string Value)[] annotations)
    {
        var item = new
        {
            apiVersion = "v1",
            kind = "Service",
            metadata = new { name = "web", @namespace = "shop", annotations = annotations.ToDictionary(a => a.Name, a => a.Value) },
            spec = new { clusterIP = "10.96.0.10", ports = new[] { new { port = 80 } } },
        };
        KubernetesObject read = new ObjectReader().Read(JsonSerializer.SerializeToElement(item), "test", [])!;
        Assert.All(read.Problems, p => Assert.Equal(ProblemEffect.AnnotationIgnored, p.Effect));
        return ((Service)read.Value!, [.. read.Problems.Select(p => p.ToString())]);
    }
}
