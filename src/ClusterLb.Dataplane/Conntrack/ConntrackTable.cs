using System.Numerics;
using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The flows of one family: found by either of their two tuples, shared by all workers.</summary>
/// <remarks>
/// Lookups take no lock. Creation and removal lock the first buckets of both tuples, in index order. docs/conntrack.md has
/// the theory; the comments here say what each barrier orders.
/// </remarks>
[SkipLocalsInit]
internal sealed partial class ConntrackTable<TKey>
    where TKey : unmanaged, IFlowKey<TKey>
{
    // Four index words per flow, of which it needs two: half full at most, where two-choice buckets of eight do not overflow.
    private const int WordsPerFlow = 4;

    private readonly MapFile _file;
    private readonly nint _places;
    private readonly FlowIndex _index;
    private readonly ulong _seed0;
    private readonly ulong _seed1;
    private readonly ActiveFlowCounts _active;
    private readonly SnatPortPools _snatPorts;

    /// <summary>A table over a new file. Over one that another process wrote, call <see cref="Adopt"/> before anything else.</summary>
    /// <param name="file">Of <see cref="SpecOf"/>.</param>
    /// <param name="active">Counts the flows that carry <see cref="FlowFlags.Counted"/>; shared with the other family's table.</param>
    /// <param name="snatPorts">Told of every reply tuple that becomes free; shared with the other family's table.</param>
    public ConntrackTable(MapFile file, ActiveFlowCounts? active = null, SnatPortPools? snatPorts = null)
    {
        _active = active ?? new ActiveFlowCounts();
        _snatPorts = snatPorts ?? new SnatPortPools();
        _file = file;
        _places = file.AddressOf(file.Spec.PlacesOffset);
        _index = new FlowIndex(file.AddressOf(MapFileSpec.IndexOffset), file.Spec.Buckets);
        Capacity = (int)file.Spec.Capacity;
        _seed0 = file.Seed0;
        _seed1 = file.Seed1;
    }

    /// <summary>Flows that fit. Their places are numbered from 1.</summary>
    public int Capacity { get; }

    public MapFile File => _file;

    /// <summary>Flows in the table, expired ones that were not swept yet included.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The file of a table: 128 bytes per IPv4 flow, 176 per IPv6 flow.</summary>
    /// <param name="name">File name.</param>
    /// <param name="capacity">Flows, rounded up to a power of two.</param>
    public static MapFileSpec SpecOf(string name, int capacity)
    {
        uint rounded = BitOperations.RoundUpToPowerOf2((uint)capacity);
        return new MapFileSpec
        {
            Name = name,
            Capacity = rounded,
            Buckets = rounded * WordsPerFlow / FlowIndex.WordsPerBucket,
            Places = rounded + 1,
            PlaceSize = (uint)Unsafe.SizeOf<FlowPlace<TKey>>(),
            KeySize = (uint)Unsafe.SizeOf<TKey>(),
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
    }

    /// <summary>Finds the flow of a packet, by original or reply tuple. A flow that has expired is not found.</summary>
    public bool TryLookup(in FlowTuple tuple, long nowMs, out FlowHit hit)
    {
        TKey key = TKey.From(tuple);
        ulong hash = HashOf(key, tuple.Protocol);
        ulong tag = FlowIndex.Tag(hash);
        return TryLookupIn(_index.FirstBucket(hash), tag, key, tuple.Protocol, nowMs, out hit)
            || TryLookupIn(_index.SecondBucket(hash), tag, key, tuple.Protocol, nowMs, out hit);
    }

    /// <summary>Accounts one packet to a flow, and lets it live until <paramref name="expiresMs"/>.</summary>
    public void Record(in FlowHit hit, FlowState next, long expiresMs, int lengthBytes)
    {
        ref FlowPlace<TKey> flow = ref PlaceAt(hit.Place);
        bool isSame = next != hit.State
            ? TryChangeState(ref flow, hit, next, removed: FlowState.None)
            : Generation(Volatile.Read(ref flow.Life)) == hit.Generation;
        if (!isSame)
        {
            return; // the flow is gone, the place may belong to another one
        }

        // A store cannot be bound to the generation as the state is. What is left is a worker that the kernel stops between the
        // look above and the store, for as long as it takes others to remove this flow and to fill its place anew. One flow then
        // lives for as long as the one before it would have, 24 h at most, and one packet is counted for it. It can be 24 h
        // only if the flow that was established is flushed or closes in that very moment: eviction never takes it.
        Volatile.Write(ref flow.ExpiresMs, expiresMs);
        Interlocked.Increment(ref hit.IsReply ? ref flow.BackendPackets : ref flow.ClientPackets);
        Interlocked.Add(ref hit.IsReply ? ref flow.BackendBytes : ref flow.ClientBytes, (ulong)lengthBytes);
    }

    /// <summary>Remembers that the flow's backend still served at this revision.</summary>
    public void SetRevision(in FlowHit hit, ulong revision)
    {
        ref FlowPlace<TKey> flow = ref PlaceAt(hit.Place);
        if (Generation(Volatile.Read(ref flow.Life)) == hit.Generation)
        {
            Volatile.Write(ref flow.Revision, revision);
        }
    }

    private bool TryChangeState(ref FlowPlace<TKey> flow, in FlowHit hit, FlowState added, FlowState removed)
    {
        ulong life = Volatile.Read(ref flow.Life);
        while (Generation(life) == hit.Generation)
        {
            ulong next = (life & ~(ulong)(uint)removed) | (uint)added;
            ulong seen = next == life ? life : Interlocked.CompareExchange(ref flow.Life, next, life);
            if (seen == life)
            {
                // One worker's swap closes the flow, and nobody takes it back: so it is taken off its backend's account once.
                if (hit.IsCounted && !TcpFlow.IsClosing((FlowState)(uint)life) && TcpFlow.IsClosing((FlowState)(uint)next))
                {
                    _active.Remove(hit.BackendId);
                }

                return true;
            }

            life = seen;
        }

        return false;
    }

    private bool TryLookupIn(uint bucket, ulong tag, in TKey key, IpProtocol protocol, long nowMs, out FlowHit hit)
    {
        for (uint matches = _index.MatchesOf(bucket, tag); matches != 0; matches &= matches - 1)
        {
            ref ulong slot = ref _index.WordAt(bucket, BitOperations.TrailingZeroCount(matches));
            ulong word = Volatile.Read(ref slot); // acquire: the place is read after the word that leads to it
            if (IsPlace(word, tag) && TryRead(word, key, protocol, out hit, out long expiresMs)
                && FlowIndex.WithoutLock(Volatile.Read(ref slot)) == FlowIndex.WithoutLock(word))
            {
                return nowMs < expiresMs; // a tuple has one flow at most
            }
        }

        hit = default;
        return false;
    }

    /// <summary>Reads a flow out if it has this tuple, and was the same flow before and after the reading.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryRead(ulong word, in TKey key, IpProtocol protocol, out FlowHit hit, out long expiresMs)
    {
        bool isReply = FlowIndex.IsReply(word);
        ref FlowPlace<TKey> flow = ref PlaceAt(FlowIndex.Place(word));
        ulong life = Volatile.Read(ref flow.Life); // acquire: before the fields
        expiresMs = flow.ExpiresMs;
        if (!IsLive(Generation(life)) || flow.Protocol != protocol || !(isReply ? ref flow.Reply : ref flow.Original).Matches(key))
        {
            hit = default;
            return false;
        }

        hit = new FlowHit
        {
            Translated = (isReply ? ref flow.Original : ref flow.Reply).ToReverseTuple(protocol),
            IsReply = isReply,
            State = (FlowState)(uint)life,
            Flags = flow.Flags,
            Queue = flow.Queue,
            BackendId = flow.BackendId,
            RevNatId = flow.RevNatId,
            ServicePortId = flow.ServicePortId,
            Revision = flow.Revision,
            Place = FlowIndex.Place(word),
            Generation = Generation(life),
        };

        // The fields before the second look at the generation: a place that was given to another flow meanwhile had an odd
        // generation first, so that what was read of two flows cannot have the same even number at both ends.
        Volatile.ReadBarrier();
        return Generation(Volatile.Read(ref flow.Life)) == Generation(life);
    }

    /// <summary>The place that holds this tuple, expired or not. Only under the lock of the tuple's first bucket, where no flow
    /// of this tuple can come or go.</summary>
    private bool TryFindLocked(in TKey key, IpProtocol protocol, ulong hash, out int place)
    {
        ulong tag = FlowIndex.Tag(hash);
        return TryFindLockedIn(_index.FirstBucket(hash), tag, key, protocol, out place)
            || TryFindLockedIn(_index.SecondBucket(hash), tag, key, protocol, out place);
    }

    private bool TryFindLockedIn(uint bucket, ulong tag, in TKey key, IpProtocol protocol, out int place)
    {
        for (uint matches = _index.MatchesOf(bucket, tag); matches != 0; matches &= matches - 1)
        {
            ulong word = Volatile.Read(ref _index.WordAt(bucket, BitOperations.TrailingZeroCount(matches)));
            if (IsPlace(word, tag))
            {
                place = FlowIndex.Place(word);
                ref FlowPlace<TKey> flow = ref PlaceAt(place);
                if (flow.Protocol == protocol && (FlowIndex.IsReply(word) ? ref flow.Reply : ref flow.Original).Matches(key))
                {
                    return true;
                }
            }
        }

        place = 0;
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsPlace(ulong word, ulong tag) => FlowIndex.HasTag(word, tag) && (uint)FlowIndex.Place(word) <= (uint)Capacity;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref FlowPlace<TKey> PlaceAt(int place) => ref Unsafe.As<byte, FlowPlace<TKey>>(
        ref MapFileInterop.Reference(_places + ((nint)place * Unsafe.SizeOf<FlowPlace<TKey>>())));

    private static uint Generation(ulong life) => (uint)(life >> 32);

    private static bool IsLive(uint generation) => generation != 0 && (generation & 1) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong HashOf(in TKey key, IpProtocol protocol) => SeededHash.Of(key, _seed0 ^ ((ulong)protocol << 56), _seed1);
}
