namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How one resource is followed.</summary>
/// <param name="Resource">Plural, as in permissions.</param>
/// <param name="State">What is going on.</param>
/// <param name="Since">Since when.</param>
/// <param name="Objects">How many are known.</param>
/// <param name="LastError">Why it does not work; empty while it does.</param>
public sealed record ApiResourceStatus(string Resource, ApiWatchState State, DateTimeOffset Since, int Objects, string LastError);

/// <summary>What is going on with one resource.</summary>
public enum ApiWatchState : byte
{
    /// <summary>All objects are being read. What was known before is served.</summary>
    Listing,

    /// <summary>Changes are followed.</summary>
    Watching,

    /// <summary>It did not work and will be tried again. What was known before is served.</summary>
    Waiting,

    /// <summary>The server does not have this resource.</summary>
    NotOffered,
}
