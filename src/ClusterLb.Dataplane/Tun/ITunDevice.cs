namespace ClusterLb.Dataplane.Tun;

/// <summary>Where packets come from and go to, in batches. A frame is a <see cref="VnetHeader"/> and an IP packet.</summary>
/// <remarks>
/// One thread per queue receives and waits; any thread may send. A device neither allocates nor throws in
/// <see cref="Receive"/>, <see cref="Wait"/> and <see cref="Send"/>, except for <see cref="TunException"/> when it is gone for good.
/// </remarks>
public interface ITunDevice : IDisposable
{
    /// <summary>Queues, numbered from 0.</summary>
    int Queues { get; }

    /// <summary>Clears the batch and fills it with what waits in the queue now; returns at once.</summary>
    /// <returns>Packets in the batch, 0 if none waited.</returns>
    int Receive(int queue, PacketBatch batch);

    /// <summary>Waits until there is something to receive.</summary>
    /// <returns>False after <paramref name="timeoutMs"/>, and for good once <see cref="Wake"/> was called.</returns>
    bool Wait(int queue, int timeoutMs);

    /// <summary>
    /// Writes every packet of the batch that is not to be dropped, each to the queue in its meta, modulo the queues there are.
    /// Counts in <see cref="PacketBatch.SendFailures"/> what was not taken, and calls <see cref="PacketBatch.Sent"/> for each as soon as it is written.
    /// </summary>
    void Send(PacketBatch batch);

    /// <summary>Ends all waits, now and later: its worker threads are about to stop. From any thread.</summary>
    void Wake();
}
