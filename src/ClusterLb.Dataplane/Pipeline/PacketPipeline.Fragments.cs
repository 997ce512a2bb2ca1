using System.Buffers.Binary;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <content>Parts of datagrams: the first one is handled as a whole packet, later ones go where it went (docs/icmp-and-fragments.md).</content>
public sealed partial class PacketPipeline
{
    private Verdict DecideFragment(Span<byte> buffer, in HeaderOffsets at, ref PacketMeta meta, long nowMs)
    {
        FlowTuple first = meta.Tuple;
        if (at.Protocol == IpProtocol.Sctp && !at.IsLaterFragment && NeedsWholeOf(buffer, at, meta, nowMs))
        {
            return Drop(ref meta, DropReason.SctpFragment);
        }

        Verdict verdict = at.IsLaterFragment
            ? DecideLaterFragment(buffer, at, ref meta, nowMs)
            : DecideWhole(buffer, at, ref meta, nowMs);
        if (verdict == Verdict.Forward)
        {
            _counters.CountFragment();
            meta.Queue = _flows.QueueOfFragments(meta.Translated);
        }

        // Of a datagram that goes nowhere the rest is dropped as well: it is not remembered.
        if (!at.IsLaterFragment && verdict is Verdict.Forward or Verdict.Pass
            && _flows.RememberFragment(first, at.FragmentId, nowMs) == FragmentResult.Evicted)
        {
            _counters.CountEvictedFragments();
        }

        return verdict;
    }

    /// <summary>
    /// True if the packet's CRC32c would have to change with its ports: for that one must know how much data follows them, which only the
    /// last fragment tells. An association does not begin with a fragment, so what is for a service needs a flow that keeps the ports.
    /// </summary>
    private bool NeedsWholeOf(ReadOnlySpan<byte> buffer, in HeaderOffsets at, in PacketMeta meta, long nowMs)
    {
        bool hasCrc = BinaryPrimitives.ReadUInt32LittleEndian(buffer[(at.TransportOffset + SctpHeader.ChecksumOffset)..]) != 0;
        if (!hasCrc || meta.PartialChecksum)
        {
            return false; // none was computed, or all of it will be
        }

        FlowTuple tuple = meta.Tuple;
        return _flows.TryLookup(tuple, nowMs, out FlowHit flow)
            ? flow.Translated.SourcePort != tuple.SourcePort || flow.Translated.DestinationPort != tuple.DestinationPort
            : Frontend.Exists(_maps, tuple, _node.Flags);
    }

    /// <summary>It has no ports. The kernel reassembles before it routes, and sends the parts to us in order: so the first one was here.</summary>
    private Verdict DecideLaterFragment(Span<byte> buffer, in HeaderOffsets at, ref PacketMeta meta, long nowMs)
    {
        if (!_flows.TryRecallFragment(meta.Tuple, at.FragmentId, !at.MoreFragments, nowMs, out meta.Tuple))
        {
            return Drop(ref meta, DropReason.FragmentWithoutFirst);
        }

        // The protocol is the datagram's: a later fragment of IPv6 may not tell it. The flow is asked for nothing but its translation: a
        // datagram stays together, whatever has become of its backend meanwhile.
        HeaderOffsets of = at with { Protocol = meta.Tuple.Protocol };
        if (_flows.TryLookup(meta.Tuple, nowMs, out FlowHit flow))
        {
            if (flow.IsOrphan)
            {
                // Its time of expiry says since when it waits for an answer (OrphanPass.LifeMs), and the first part has set it.
                _flows.RecordOrphan(flow, FlowState.None, FlowState.None, expiresMs: 0, at.TotalLength);
                return Translate(buffer[..meta.Length], of, flow, ref meta);
            }

            return Forward(buffer[..meta.Length], of, flow, ref meta, nowMs);
        }

        return Frontend.Exists(_maps, meta.Tuple, _node.Flags)
            ? Drop(ref meta, DropReason.FragmentWithoutFirst) // its flow is gone
            : NoFrontend(buffer, of, _maps.Classify(meta.Tuple.Destination), ref meta, nowMs);
    }
}
