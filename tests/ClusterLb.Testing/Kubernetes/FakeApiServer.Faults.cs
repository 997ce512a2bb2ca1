using System.Collections.Concurrent;
using System.Net;
using System.Text;

namespace ClusterLb.Testing.Kubernetes;

/// <content>How it is broken.</content>
public sealed partial class FakeApiServer
{
    private readonly ConcurrentQueue<FakeFailure> _failures = new();

    /// <summary>Watches that are open now, of all clients.</summary>
    public int OpenWatches(string plural) => _watches.Keys.Count(watch => watch.Plural == plural && watch.IsSettled);

    /// <summary>The next requests to a resource fail.</summary>
    /// <param name="plural">The resource.</param>
    /// <param name="status">With this status,</param>
    /// <param name="reason">and this reason in the Status object,</param>
    /// <param name="times">so often.</param>
    /// <param name="retryAfterSeconds">The header Retry-After, or 0 without.</param>
    /// <param name="cause">Reason of a cause in the details, or empty.</param>
    public void Fail(string plural, HttpStatusCode status, string reason, int times = 1, int retryAfterSeconds = 0, string cause = "")
    {
        for (int i = 0; i < times; i++)
        {
            _failures.Enqueue(new FakeFailure(plural, status, reason, retryAfterSeconds, cause));
        }
    }

    /// <summary>Breaks the connections of all watches.</summary>
    /// <param name="midLine">After half a line.</param>
    public void CutWatches(bool midLine = false) =>
        EachWatch("", watch => watch.Cut(midLine ? "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Serv"u8.ToArray() : []));

    /// <summary>Ends all watches as when their time is over.</summary>
    public void EndWatches() => EachWatch("", watch => watch.End());

    /// <summary>Sends a line of a test's own to all watches of a resource.</summary>
    public void SendLine(string plural, string line) => EachWatch(plural, watch => watch.Send(Encoding.UTF8.GetBytes(line + "\n")));

    /// <summary>Sends a bookmark with the present version to all watches.</summary>
    public void SendBookmarks() => EachWatch("", watch => watch.Bookmark());

    private void EachWatch(string plural, Action<FakeWatch> action)
    {
        foreach (FakeWatch watch in _watches.Keys.Where(watch => plural.Length == 0 || watch.Plural == plural))
        {
            action(watch);
        }
    }

    private FakeFailure? TakeFailure(string plural)
    {
        for (int i = _failures.Count; i > 0 && _failures.TryDequeue(out FakeFailure? failure); i--)
        {
            if (failure.Plural == plural)
            {
                return failure;
            }

            _failures.Enqueue(failure);
        }

        return null;
    }

    private sealed record FakeFailure(string Plural, HttpStatusCode Status, string Reason, int RetryAfterSeconds, string Cause);
}
