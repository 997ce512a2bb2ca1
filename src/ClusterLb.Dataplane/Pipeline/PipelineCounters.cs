using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Conntrack;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>What one worker has done with packets: names for the words of its <see cref="CounterRow"/>.</summary>
/// <remarks>Written by that worker alone, read by anybody. The words only ever rise; a restart of the dataplane goes on counting.</remarks>
public sealed class PipelineCounters(CounterRow row)
{
    // The layout of the row (docs/conntrack.md). Append only.
    private const int PacketsByVerdict = 0;
    private const int BytesByVerdict = 8;
    private const int UnpinnedWord = 13; // where bytes of verdicts would be that do not exist, as the next two
    private const int EvictedFlowsWord = 14;
    private const int EvictedPinsWord = 15;
    private const int NewFlowsWord = 16;
    private const int RepickedFlowsWord = 17;
    private const int RepickedIpv6FlowsWord = 18; // part of those above
    private const int FragmentsWord = 19;
    private const int ReplyPacketsByVerdict = 20; // bytes 8 words behind, as above; the words above are of the original direction
    private const int ReplyBytesByVerdict = ReplyPacketsByVerdict + BytesByVerdict;
    private const int EvictedFragmentsWord = 24;
    private const int AnsweredPingsWord = 25;
    private const int TranslatedErrorsWord = 26;
    private const int ResetFlowsWord = 27;
    private const int DropsByReason = 32;
    private const int MostReasons = 64;
    private const int ReplyDropsByReason = 96; // part of those above
    private const int MostReplyReasons = 32;

    /// <summary>Flows begun.</summary>
    public ulong NewFlows => row.Read(NewFlowsWord);

    /// <summary>Flows that were never established and were forgotten early, because a table was full or source ports were rare.</summary>
    public ulong EvictedFlows => row.Read(EvictedFlowsWord);

    /// <summary>Clients whose session affinity was forgotten early, because a table was full.</summary>
    public ulong EvictedPins => row.Read(EvictedPinsWord);

    /// <summary>Connections of a service with session affinity whose client could not be pinned, because other workers were busy with
    /// its part of the table; they are served all the same.</summary>
    public ulong Unpinned => row.Read(UnpinnedWord);

    /// <summary>UDP flows that got another backend because theirs no longer served.</summary>
    public ulong RepickedFlows => row.Read(RepickedFlowsWord);

    /// <summary>Of <see cref="RepickedFlows"/>, those of IPv6.</summary>
    public ulong RepickedIpv6Flows => row.Read(RepickedIpv6FlowsWord);

    /// <summary>Fragments translated.</summary>
    public ulong Fragments => row.Read(FragmentsWord);

    /// <summary>Fragmented datagrams that were forgotten while parts of them could still have come, because the table was full.</summary>
    public ulong EvictedFragments => row.Read(EvictedFragmentsWord);

    /// <summary>Pings of service addresses answered, their fragments counted one by one.</summary>
    public ulong AnsweredPings => row.Read(AnsweredPingsWord);

    /// <summary>ICMP errors translated.</summary>
    public ulong TranslatedErrors => row.Read(TranslatedErrorsWord);

    /// <summary>TCP connections that were ended because their backend was gone.</summary>
    public ulong ResetFlows => row.Read(ResetFlowsWord);

    /// <summary>Packets with this verdict.</summary>
    public ulong Packets(Verdict verdict) => row.Read(PacketsByVerdict + (int)verdict) + ReplyPackets(verdict);

    /// <summary>Bytes, IP headers included, as they were read, of packets with this verdict.</summary>
    public ulong Bytes(Verdict verdict) => row.Read(BytesByVerdict + (int)verdict) + ReplyBytes(verdict);

    /// <summary>Of <see cref="Packets"/>, those from backend to client.</summary>
    public ulong ReplyPackets(Verdict verdict) => row.Read(ReplyPacketsByVerdict + (int)verdict);

    /// <summary>Of <see cref="Bytes"/>, those from backend to client.</summary>
    public ulong ReplyBytes(Verdict verdict) => row.Read(ReplyBytesByVerdict + (int)verdict);

    /// <summary>Of <see cref="Drops"/>, those from backend to client.</summary>
    public ulong ReplyDrops(DropReason reason) => (int)reason < MostReplyReasons ? row.Read(ReplyDropsByReason + (int)reason) : 0;

    /// <summary>Packets dropped or rejected for this reason.</summary>
    public ulong Drops(DropReason reason) => row.Read(DropsByReason + (int)reason);

    /// <summary>Counts for tests, explain and benchmarks.</summary>
    public static PipelineCounters CreateInMemory() => new(CounterRow.CreateInMemory());

    /// <summary>Counts of all workers together, alive or dead, in the order of <see cref="PipelineCounters"/>; zeros if there is no file.</summary>
    /// <param name="stateDirectory">The agent's.</param>
    public static PipelineCounters Read(string stateDirectory)
    {
        CounterRow sum = CounterRow.CreateInMemory();
        foreach (ulong[] worker in FlowTables.ReadCounters(stateDirectory))
        {
            for (int word = 0; word < worker.Length; word++)
            {
                sum.Add(word, worker[word]);
            }
        }

        return new PipelineCounters(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void CountVerdict(Verdict verdict, bool isReply, int lengthBytes)
    {
        int word = (int)verdict + (isReply ? ReplyPacketsByVerdict : PacketsByVerdict);
        row.Add(word, 1);
        row.Add(word + BytesByVerdict, (uint)lengthBytes);
    }

    internal void CountReason(DropReason reason, bool isReply)
    {
        row.Add(DropsByReason + Math.Min((int)reason, MostReasons - 1), 1);
        if (isReply && (int)reason < MostReplyReasons)
        {
            row.Add(ReplyDropsByReason + (int)reason, 1);
        }
    }

    internal void CountNewFlow() => row.Add(NewFlowsWord, 1);

    internal void CountEvicted(long flows, long pins)
    {
        if (flows + pins > 0)
        {
            row.Add(EvictedFlowsWord, (ulong)flows);
            row.Add(EvictedPinsWord, (ulong)pins);
        }
    }

    internal void CountUnpinned(long connections)
    {
        if (connections > 0)
        {
            row.Add(UnpinnedWord, (ulong)connections);
        }
    }

    internal void CountFragment() => row.Add(FragmentsWord, 1);

    internal void CountEvictedFragments() => row.Add(EvictedFragmentsWord, 1);

    internal void CountAnsweredPing() => row.Add(AnsweredPingsWord, 1);

    internal void CountTranslatedError() => row.Add(TranslatedErrorsWord, 1);

    internal void CountResetFlow() => row.Add(ResetFlowsWord, 1);

    internal void CountRepickedFlow(bool isIpv4)
    {
        row.Add(RepickedFlowsWord, 1);
        if (!isIpv4)
        {
            row.Add(RepickedIpv6FlowsWord, 1);
        }
    }
}
