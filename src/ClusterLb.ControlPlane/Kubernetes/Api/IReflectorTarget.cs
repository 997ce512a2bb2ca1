using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Where a <see cref="Reflector"/> puts what it reads. Called by one thread at a time.</summary>
internal interface IReflectorTarget
{
    /// <summary>Objects that it holds.</summary>
    int Count { get; }

    /// <summary>A list begins. One that breaks off is followed by another one.</summary>
    void BeginList();

    /// <summary>An object as it is now. A bad one is reported, never thrown.</summary>
    /// <param name="item">The object.</param>
    /// <param name="received">When its bytes were here (<see cref="TimeProvider.GetTimestamp"/>).</param>
    void Put(JsonElement item, long received);

    /// <summary>An object is gone, or is no longer selected.</summary>
    /// <param name="item">The object as it was last.</param>
    /// <param name="received">When the bytes that say so were here (<see cref="TimeProvider.GetTimestamp"/>).</param>
    void Remove(JsonElement item, long received);

    /// <summary>The list is complete: what was not put since it began is gone.</summary>
    void EndList();

    /// <summary>The server does not have this resource.</summary>
    void NotOffered();
}
