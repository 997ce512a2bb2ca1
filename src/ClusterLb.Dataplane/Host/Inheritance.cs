using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>What a successor holds while another dataplane serves: all it needs, and a place in the line for the lease.</summary>
/// <remarks>
/// The kernel gives the lease to whoever waits for it once its last holder is gone, killed or not, with all its threads: so no
/// two dataplanes ever write the flow tables, and nobody else needs to live for one to follow the other.
/// </remarks>
internal sealed class Inheritance : IDisposable
{
    /// <summary>Waits from now on.</summary>
    /// <param name="lease">Of an open file of this process's own; not disposed here.</param>
    /// <param name="names">Of the descriptors, in order.</param>
    /// <param name="descriptors">Owned by whoever takes them.</param>
    /// <param name="estate">What the agent calls the whole.</param>
    public Inheritance(SafeFileHandle lease, IReadOnlyList<string> names, SafeFileHandle[] descriptors, string estate)
    {
        Names = names;
        Descriptors = descriptors;
        Estate = estate;
        new Thread(() =>
        {
            LeaseInterop.Take(lease);
            TunInterop.Signal(Fell);
        })
        { Name = "lease", IsBackground = true }.Start();
    }

    /// <summary>Readable once the lease is ours.</summary>
    public SafeFileHandle Fell { get; } = TunInterop.CreateEvent();

    public IReadOnlyList<string> Names { get; }

    public SafeFileHandle[] Descriptors { get; }

    public string Estate { get; }

    /// <summary>Lets go of the event alone.</summary>
    public void Dispose() => Fell.Dispose();
}
