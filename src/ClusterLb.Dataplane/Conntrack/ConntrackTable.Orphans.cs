namespace ClusterLb.Dataplane.Conntrack;

/// <summary>TCP flows whose backend has left its service port: found by looking through the table, so that no packet has to.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    private const FlowState OrphanBits = FlowState.Orphaned | FlowState.AnswerDue | FlowState.BackendGone;

    /// <summary>Places that may hold a flow, from 1.</summary>
    public int LastPlace => UsedPlaces;

    /// <summary>Until when the flow lives; 0 if it is gone.</summary>
    public long ExpiresMs(in FlowHit hit)
    {
        ref FlowPlace<TKey> flow = ref PlaceAt(hit.Place);
        long expiresMs = Volatile.Read(ref flow.ExpiresMs);
        return Generation(Volatile.Read(ref flow.Life)) == hit.Generation ? expiresMs : 0;
    }

    /// <summary>Accounts a packet to an orphan, and lets it live until <paramref name="expiresMs"/>, if that is not 0.</summary>
    public void RecordOrphan(in FlowHit hit, FlowState added, FlowState removed, long expiresMs, int lengthBytes)
    {
        ref FlowPlace<TKey> flow = ref PlaceAt(hit.Place);
        if (!TryChangeState(ref flow, hit, added, removed))
        {
            return;
        }

        if (expiresMs != 0)
        {
            Volatile.Write(ref flow.ExpiresMs, expiresMs);
        }

        Interlocked.Increment(ref hit.IsReply ? ref flow.BackendPackets : ref flow.ClientPackets);
        Interlocked.Add(ref hit.IsReply ? ref flow.BackendBytes : ref flow.ClientBytes, (ulong)lengthBytes);
    }

    /// <summary>Looks at the flows of some places, and decides about those whose backend has left.</summary>
    /// <param name="pass">What is known and what is found.</param>
    /// <param name="first">The first place.</param>
    /// <param name="count">Places to look at.</param>
    /// <returns>The place to go on with: one of these if there was no room for what is to be asked.</returns>
    public int LookForOrphans(OrphanPass pass, int first, int count)
    {
        int end = Math.Min(first + count, UsedPlaces + 1);
        for (int place = first; place < end; place++)
        {
            ref FlowPlace<TKey> entry = ref PlaceAt(place);
            if (MayBeOrphan(Volatile.Read(ref entry.Life), entry.Protocol, entry.Flags)
                && TryCopy(place, out FlowPlace<TKey> flow)
                && flow.ExpiresMs > pass.NowMs // else it only waits for the sweeper: a question would give it another life
                && MayBeOrphan(flow.Life, flow.Protocol, flow.Flags)
                && !TryJudge(pass, place, flow))
            {
                return place;
            }
        }

        return end;
    }

    /// <summary>A connection that was answered and goes on. What was not answered is chosen anew with the client's next SYN.</summary>
    private static bool MayBeOrphan(ulong life, IpProtocol protocol, FlowFlags flags)
    {
        var state = (FlowState)(uint)life;
        return IsLive(Generation(life)) && protocol == IpProtocol.Tcp
            && (state & FlowState.ReplySeen) != FlowState.None && !TcpFlow.IsClosing(state)
            && (flags & FlowFlags.KeepIfGone) == FlowFlags.None;
    }

    /// <summary>False, and nothing done, if there was no room for a question.</summary>
    private bool TryJudge(OrphanPass pass, int place, in FlowPlace<TKey> flow)
    {
        var state = (FlowState)(uint)flow.Life;
        if (pass.IsServed(flow.ServicePortId, flow.BackendId, flow.Revision, out ulong revision))
        {
            if (revision != flow.Revision || (state & OrphanBits) != FlowState.None)
            {
                TakeBack(pass, place, flow, revision);
            }

            return true;
        }

        bool isGone = (state & FlowState.BackendGone) != FlowState.None
            || ((flow.Flags & FlowFlags.ResetIfGone) != FlowFlags.None && !pass.Exists(flow.BackendId));
        bool isDone = isGone
            ? TryGiveUp(pass, place, flow, FlowState.Orphaned | FlowState.BackendGone)
            : TryAsk(pass, place, flow, state);
        pass.Orphans += isDone ? 1 : 0;
        return isDone;
    }

    /// <summary>Asks the backend whether it is still there, unless it has said so lately; gives it up if it owes an answer for too long.</summary>
    private bool TryAsk(OrphanPass pass, int place, in FlowPlace<TKey> flow, FlowState state)
    {
        bool isAsked = (state & FlowState.AnswerDue) != FlowState.None;
        if (!isAsked && (state & FlowState.Orphaned) != FlowState.None && !pass.AsksAll)
        {
            return true; // it has answered, and is asked again some time later
        }

        long askedAtMs = flow.ExpiresMs - OrphanPass.LifeMs;
        if (isAsked && askedAtMs <= pass.NowMs && pass.NowMs - askedAtMs >= OrphanPass.AnswerMs)
        {
            return TryGiveUp(pass, place, flow, FlowState.BackendGone);
        }

        // Asked already: asked again, in case the question or the answer was lost. A deadline that lies further away than it can be is
        // not one: a worker that did not see the orphan yet has stored its own.
        pass.Waiting++;
        long expiresMs = isAsked && askedAtMs <= pass.NowMs ? 0 : pass.NowMs + OrphanPass.LifeMs;
        return pass.TryAsk(new OrphanQuestion(flow.Reply.ToReverseTuple(flow.Protocol), flow.Queue, ToClient: false))
            && Change(place, flow, FlowState.Orphaned | FlowState.AnswerDue, FlowState.None, expiresMs);
    }

    /// <summary>Nobody will answer: the client's next packet is answered by a reset, and it is asked for one.</summary>
    private bool TryGiveUp(OrphanPass pass, int place, in FlowPlace<TKey> flow, FlowState bits)
    {
        pass.Waiting++;
        bool isNew = ((FlowState)(uint)flow.Life & FlowState.BackendGone) == FlowState.None;
        return pass.TryAsk(new OrphanQuestion(flow.Original.ToReverseTuple(flow.Protocol), flow.Queue, ToClient: true))
            && Change(place, flow, bits, FlowState.None, isNew ? pass.NowMs + OrphanPass.LifeMs : 0);
    }

    /// <summary>The backend serves (again).</summary>
    private void TakeBack(OrphanPass pass, int place, in FlowPlace<TKey> flow, ulong revision)
    {
        var state = (FlowState)(uint)flow.Life;
        if ((state & OrphanBits) != FlowState.None)
        {
            Change(place, flow, FlowState.None, OrphanBits, pass.NowMs + pass.Timeouts.Of(flow.Protocol, state));
        }

        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        if (Generation(Volatile.Read(ref entry.Life)) == Generation(flow.Life))
        {
            Volatile.Write(ref entry.Revision, revision);
        }
    }

    /// <summary>Always true: if the flow has changed meanwhile, the next pass looks again.</summary>
    private bool Change(int place, in FlowPlace<TKey> flow, FlowState added, FlowState removed, long expiresMs)
    {
        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        ulong next = (flow.Life & ~(ulong)(uint)removed) | (uint)added;
        if (Interlocked.CompareExchange(ref entry.Life, next, flow.Life) == flow.Life && expiresMs != 0)
        {
            Volatile.Write(ref entry.ExpiresMs, expiresMs);
        }

        return true;
    }
}
