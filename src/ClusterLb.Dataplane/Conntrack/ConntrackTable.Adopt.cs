namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Taking over what another process left, wherever it was killed.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    /// <summary>Clears lock bits, drops what is linked by half or damaged, and learns which places are free.</summary>
    /// <param name="live">Called for every flow that is kept.</param>
    /// <returns>Flows kept, and index words dropped.</returns>
    /// <remarks>Nobody else may use the table meanwhile; the caller holds the dataplane's lease.</remarks>
    public (int Kept, int Dropped) Adopt(Action<Packets.FlowTuple>? live = null)
    {
        var originalLinked = new bool[Capacity + 1];
        var replyLinked = new bool[Capacity + 1];
        int dropped = ForEachWord((bucket, word) => IsSound(bucket, word) && Mark(word, originalLinked, replyLinked));
        dropped += ForEachWord((_, word) => originalLinked[FlowIndex.Place(word)] && replyLinked[FlowIndex.Place(word)]);

        _count = 0;
        _freeTop = 0;
        _fresh = Capacity + 1;
        while (_fresh > 1 && PlaceAt(_fresh - 1).Life == 0)
        {
            _fresh--;
        }

        for (int place = _fresh - 1; place > 0; place--)
        {
            if (originalLinked[place] && replyLinked[place])
            {
                _count++;
                ref FlowPlace<TKey> flow = ref PlaceAt(place);
                live?.Invoke(flow.Reply.ToTuple(flow.Protocol));
                if ((flow.Flags & FlowFlags.Counted) != FlowFlags.None && !TcpFlow.IsClosing((FlowState)(uint)flow.Life))
                {
                    _active.Add(flow.BackendId);
                }
            }
            else
            {
                Release(place);
            }
        }

        return (_count, dropped);
    }

    /// <summary>Copies all flows into an empty table of another capacity, established ones first.</summary>
    /// <returns>Flows that did not fit.</returns>
    public int CopyTo(ConntrackTable<TKey> fresh) => CopyTo(fresh, mayGoEarly: false) + CopyTo(fresh, mayGoEarly: true);

    private int CopyTo(ConntrackTable<TKey> fresh, bool mayGoEarly)
    {
        int lost = 0;
        for (int place = 1; place <= Capacity; place++)
        {
            FlowPlace<TKey> flow = PlaceAt(place);
            if (!IsLive(Generation(flow.Life)) || MayGoEarly(flow.Protocol, (FlowState)(uint)flow.Life) != mayGoEarly)
            {
                continue;
            }

            ulong original = HashOf(flow.Original, flow.Protocol);
            ulong reply = HashOf(flow.Reply, flow.Protocol);
            bool linked = _index.IsLinked(original, FlowIndex.Word(original, place, isReply: false))
                && _index.IsLinked(reply, FlowIndex.Word(reply, place, isReply: true));
            lost += linked && !fresh.TryInsert(flow) ? 1 : 0;
        }

        return lost;
    }

    private bool TryInsert(in FlowPlace<TKey> flow)
    {
        if (!TryTakeFresh(out int place))
        {
            return false;
        }

        PlaceAt(place) = flow;
        ulong original = HashOf(flow.Original, flow.Protocol);
        ulong reply = HashOf(flow.Reply, flow.Protocol);
        return Link(flow.Original, original, flow.Reply, reply, flow.Protocol, place, out _) == CreateResult.Created;
    }

    private int ForEachWord(Func<uint, ulong, bool> keep)
    {
        int dropped = 0;
        for (uint bucket = 0; bucket < _index.Buckets; bucket++)
        {
            for (int at = 0; at < FlowIndex.WordsPerBucket; at++)
            {
                ref ulong slot = ref _index.WordAt(bucket, at);
                ulong word = FlowIndex.WithoutLock(slot);
                if (word != 0 && !keep(bucket, word))
                {
                    word = 0;
                    dropped++;
                }

                slot = word;
            }
        }

        return dropped;
    }

    /// <summary>The word leads to a complete place whose tuple belongs into this bucket.</summary>
    private bool IsSound(uint bucket, ulong word)
    {
        int place = FlowIndex.Place(word);
        if (place <= 0 || place > Capacity)
        {
            return false;
        }

        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        bool isReply = FlowIndex.IsReply(word);
        ulong hash = HashOf(isReply ? entry.Reply : entry.Original, entry.Protocol);
        return IsLive(Generation(entry.Life))
            && word == FlowIndex.Word(hash, place, isReply)
            && (bucket == _index.FirstBucket(hash) || bucket == _index.SecondBucket(hash));
    }

    /// <summary>False for a second word of the same place and direction.</summary>
    private static bool Mark(ulong word, bool[] originalLinked, bool[] replyLinked)
    {
        bool[] linked = FlowIndex.IsReply(word) ? replyLinked : originalLinked;
        int place = FlowIndex.Place(word);
        bool first = !linked[place];
        linked[place] = true;
        return first;
    }
}
