using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>How flows come and go.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    private int _count;

    /// <summary>Says that a packet with this key comes next, so that its memory can come meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Anticipate(in TKey key, IpProtocol protocol) => _index.Prefetch(HashOf(key, protocol));

    /// <summary>Says that a flow with this reply tuple is about to be created, so that its memory can come meanwhile.</summary>
    public void Expect(in FlowTuple reply)
    {
        _index.Prefetch(HashOf(TKey.From(reply), reply.Protocol));
        PrefetchFree();
    }

    /// <summary>Makes a flow findable by both tuples, or changes nothing. Place and generation are for <see cref="Record"/>.</summary>
    public CreateResult TryCreate(in NewFlow flow, long nowMs, out int place, out uint generation)
    {
        generation = 0;
        IpProtocol protocol = flow.Original.Protocol;
        TKey original = TKey.From(flow.Original);
        TKey reply = TKey.From(flow.Reply);
        ulong originalHash = HashOf(original, protocol);
        ulong replyHash = HashOf(reply, protocol);
        if (original.Matches(reply))
        {
            place = 0;
            return CreateResult.ReplyTaken; // an answer that looks like the question could never be told from it
        }

        if (!TryTakePlace(nowMs, out place))
        {
            return CreateResult.Full;
        }

        generation = Fill(place, flow, original, reply);
        bool isCounted = (flow.Flags & FlowFlags.Counted) != FlowFlags.None;
        if (isCounted)
        {
            _active.Add(flow.BackendId); // before anyone can find the flow and close it
        }

        CreateResult result;
        bool again;
        do
        {
            LockBoth(originalHash, replyHash);
            result = Link(original, originalHash, reply, replyHash, protocol, place, out Holder holder);
            UnlockBoth(originalHash, replyHash);

            // The tuples of a flow that has expired are free to take, and so are the answers of one that is closing. It goes
            // without our locks held: removing it takes locks of its own.
            // And if ports are rare, those of one that never came to anything and has been silent for a while.
            bool isDisplaced = result == CreateResult.ReplyTaken && flow.DisplacesExpiringMs >= holder.ExpiresMs && holder.IsUnanswered;
            bool givesWay = (result == CreateResult.ReplyTaken && holder.IsClosing) || isDisplaced;
            again = givesWay || holder.ExpiresMs <= nowMs;
            if (again)
            {
                bool isGone = Remove(holder.Place, holder.Generation, givesWay ? long.MaxValue : nowMs);
                if (isDisplaced && isGone)
                {
                    Evicted.Count();
                }
            }
        }
        while (again);

        if (result == CreateResult.Created)
        {
            Interlocked.Increment(ref _count);
        }
        else
        {
            Release(place);
            if (isCounted)
            {
                _active.Remove(flow.BackendId);
            }
        }

        return result;
    }

    /// <summary>Removes a flow that a lookup found, unless it is gone already.</summary>
    public bool Remove(int place, uint generation) => Remove(place, generation, expiredAtMs: long.MaxValue);

    private CreateResult Link(
        in TKey original, ulong originalHash, in TKey reply, ulong replyHash, IpProtocol protocol, int place, out Holder holder)
    {
        // Under the locks of both tuples nobody else can link or unlink either of them.
        if (TryFindLocked(original, protocol, originalHash, out int other))
        {
            holder = HolderAt(other);
            return CreateResult.Exists;
        }

        if (TryFindLocked(reply, protocol, replyHash, out other))
        {
            holder = HolderAt(other);
            return CreateResult.ReplyTaken;
        }

        holder = new Holder(0, 0, long.MaxValue, IsClosing: false, IsUnanswered: false);

        // The reply first: the answer to the first packet that finds the flow must be translatable. Killed between the two,
        // we leave a flow that no packet of a client can find; the adopter drops it.
        ulong replyWord = FlowIndex.Word(replyHash, place, isReply: true);
        if (!_index.TryLink(replyHash, replyWord))
        {
            return CreateResult.Full;
        }

        if (!_index.TryLink(originalHash, FlowIndex.Word(originalHash, place, isReply: false)))
        {
            _index.TryUnlink(replyHash, replyWord);
            return CreateResult.Full;
        }

        return CreateResult.Created;
    }

    /// <summary>Writes the flow into a place that nothing refers to.</summary>
    private uint Fill(int place, in NewFlow flow, in TKey original, in TKey reply)
    {
        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        entry.Original = original;
        entry.Reply = reply;
        entry.ExpiresMs = flow.ExpiresMs;
        entry.Revision = flow.Revision;
        entry.ClientPackets = flow.LengthBytes > 0 ? 1UL : 0;
        entry.ClientBytes = (uint)flow.LengthBytes;
        entry.BackendPackets = 0;
        entry.BackendBytes = 0;
        entry.BackendId = flow.BackendId;
        entry.RevNatId = flow.RevNatId;
        entry.ServicePortId = flow.ServicePortId;
        entry.Queue = flow.Queue;
        entry.Protocol = flow.Original.Protocol;
        entry.Flags = flow.Flags;

        uint generation = (Generation(entry.Life) | 1) + 1;
        generation = generation == 0 ? 2 : generation;
        Volatile.Write(ref entry.Life, (ulong)generation << 32); // release: every field is visible before the even generation
        return generation;
    }

    /// <summary>Unlinks a flow and frees its place, if it is still the same flow and expires at or before the time given.</summary>
    private bool Remove(int place, uint generation, long expiredAtMs)
    {
        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        IpProtocol protocol = entry.Protocol;
        TKey original = entry.Original;
        TKey reply = entry.Reply;
        Volatile.ReadBarrier(); // the tuples before the generation that vouches for them, as in TryCopy
        if (Generation(Volatile.Read(ref entry.Life)) != generation)
        {
            return false;
        }

        ulong originalHash = HashOf(original, protocol);
        ulong replyHash = HashOf(reply, protocol);
        ulong originalWord = FlowIndex.Word(originalHash, place, isReply: false);
        LockBoth(originalHash, replyHash);

        // Linked and of this generation under both locks: nobody else removes it, and it is not one that is being created.
        bool ours = Generation(Volatile.Read(ref entry.Life)) == generation
            && Volatile.Read(ref entry.ExpiresMs) <= expiredAtMs
            && _index.IsLinked(originalHash, originalWord);
        if (ours)
        {
            _index.TryUnlink(originalHash, originalWord);
            _index.TryUnlink(replyHash, FlowIndex.Word(replyHash, place, isReply: true));
        }

        UnlockBoth(originalHash, replyHash);
        if (ours)
        {
            Interlocked.Decrement(ref _count);
            bool isCounted = (entry.Flags & FlowFlags.Counted) != FlowFlags.None; // ours alone until it is released
            uint backendId = entry.BackendId;
            if (!TcpFlow.IsClosing(Release(place)) && isCounted)
            {
                _active.Remove(backendId);
            }

            _snatPorts.Return(reply.ToTuple(protocol)); // after the tuple has become free
        }

        return ours;
    }

    /// <summary>In index order, so that two workers that want the same two buckets cannot wait for each other.</summary>
    private void LockBoth(ulong hash, ulong otherHash)
    {
        uint a = _index.FirstBucket(hash);
        uint b = _index.FirstBucket(otherHash);
        _index.Lock(Math.Min(a, b));
        if (a != b)
        {
            _index.Lock(Math.Max(a, b));
        }
    }

    private void UnlockBoth(ulong hash, ulong otherHash)
    {
        uint a = _index.FirstBucket(hash);
        uint b = _index.FirstBucket(otherHash);
        _index.Unlock(a);
        if (a != b)
        {
            _index.Unlock(b);
        }
    }

    private Holder HolderAt(int place)
    {
        ref FlowPlace<TKey> flow = ref PlaceAt(place);
        ulong life = Volatile.Read(ref flow.Life);
        bool isClosing = flow.Protocol == IpProtocol.Tcp && TcpFlow.IsClosing((FlowState)(uint)life);
        return new Holder(place, Generation(life), Volatile.Read(ref flow.ExpiresMs), isClosing, !WasUsed(flow.Protocol, (FlowState)(uint)life));
    }

    /// <summary>The flow that has a tuple already.</summary>
    private readonly record struct Holder(int Place, uint Generation, long ExpiresMs, bool IsClosing, bool IsUnanswered);

    /// <summary>TCP: established. Others: answered, which is all that many a client waits for.</summary>
    private static bool WasUsed(IpProtocol protocol, FlowState state) =>
        (state & (protocol == IpProtocol.Tcp ? FlowState.Established : FlowState.ReplySeen)) != FlowState.None;
}
