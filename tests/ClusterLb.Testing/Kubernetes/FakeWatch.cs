using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>One open watch: sends what happens after a version, and what a test wants to be sent.</summary>
internal sealed class FakeWatch(FakeResource resource, FakeStore store, FakeSelector selector)
{
    private readonly Channel<Order> _orders = Channel.CreateUnbounded<Order>();
    private long _version;

    public string Plural => resource.Plural;

    /// <summary>Everything up to now was sent; what is to come, comes.</summary>
    public bool IsSettled { get; private set; }

    public void Send(byte[] line) => _orders.Writer.TryWrite(new Order(line, IsEnd: false, IsCut: false));

    public void Bookmark() => Send(BookmarkLine(Interlocked.Read(ref _version), isEndOfList: false));

    public void End() => _orders.Writer.TryWrite(new Order([], IsEnd: true, IsCut: false));

    public void Cut(byte[] last) => _orders.Writer.TryWrite(new Order(last, IsEnd: true, IsCut: true));

    /// <summary>Sends until its end.</summary>
    /// <param name="version">Everything after it.</param>
    /// <param name="sendsAllFirst">All objects, and a bookmark that says so, come before.</param>
    /// <param name="write">Sends a line.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>False if the connection shall be broken.</returns>
    public async Task<bool> RunAsync(long version, bool sendsAllFirst, Func<byte[], Task> write, CancellationToken stop)
    {
        _version = version;
        if (sendsAllFirst)
        {
            (long now, IReadOnlyList<JsonObject> items) = store.List(resource, selector);
            foreach (JsonObject item in items)
            {
                await write(FakeChange.Line("ADDED", item));
            }

            Interlocked.Exchange(ref _version, now);
            await write(BookmarkLine(now, isEndOfList: true));
        }

        while (true)
        {
            Task changed = store.Changed;
            IReadOnlyList<FakeChange>? changes = store.After(_version);
            if (changes is null && !IsSettled)
            {
                await write(FakeChange.Line("ERROR", FakeApiServer.StatusOf(410, "Expired", $"too old resource version: {_version}")));
                return true;
            }

            foreach (FakeChange change in changes ?? [])
            {
                if (change.Plural == resource.Plural && change.LineFor(selector) is { } line)
                {
                    await write(line);
                }

                Interlocked.Exchange(ref _version, change.Version);
            }

            if (changes is null)
            {
                Interlocked.Exchange(ref _version, store.Version); // compacted while it was open: it has seen all of it
            }

            IsSettled = true;
            while (_orders.Reader.TryRead(out Order? order))
            {
                if (order.Line.Length > 0)
                {
                    await write(order.Line);
                }

                if (order.IsEnd)
                {
                    return !order.IsCut;
                }
            }

            await Task.WhenAny(changed, _orders.Reader.WaitToReadAsync(stop).AsTask(), Task.Delay(Timeout.Infinite, stop));
            stop.ThrowIfCancellationRequested();
        }
    }

    private byte[] BookmarkLine(long version, bool isEndOfList)
    {
        var metadata = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture) };
        if (isEndOfList)
        {
            metadata["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
        }

        return FakeChange.Line("BOOKMARK", new JsonObject { ["kind"] = resource.Kind, ["apiVersion"] = resource.ApiVersion, ["metadata"] = metadata });
    }

    private sealed record Order(byte[] Line, bool IsEnd, bool IsCut);
}
