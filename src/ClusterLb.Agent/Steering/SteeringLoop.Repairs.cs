using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

/// <content>What others take away: how it is noticed, put back and told.</content>
internal sealed partial class SteeringLoop
{
    private const int MostTold = 8; // changes in one line of the log

    // Without having been woken: everything now and then, settings often.
    private bool IsDue()
    {
        try
        {
            _verify |= Environment.TickCount64 - _verifiedMs >= _options.SyncPeriod.TotalMilliseconds
                || (_applied is not null && (!_steering.HasSettings(_applied) || _network.IsBridgeNetfilterSwitched || _network.AreSourcePortsOthers));
        }
        catch (SteeringException)
        {
            _verify = true; // which tells it
        }

        return _verify || _nftTouched;
    }

    private void RestoreNft()
    {
        if (!_nftTouched || !_pace.MayRepair(Environment.TickCount64))
        {
            return; // the next look goes on from here
        }

        _nftTouched = false;
        try
        {
            if (_steering.RestoreNft())
            {
                NoteRepair([$"nft table inet {NftRuleset.Table}"]);
            }
        }
        catch (SteeringException e)
        {
            _log.LogError("The nft table could not be put back {Reason}", e.Message);
            _verify = true;
        }
    }

    private void NoteRepair(IReadOnlyList<string> what)
    {
        _metrics.CountSteeringRepair();
        string told = string.Join(", ", what.Take(MostTold)) + (what.Count > MostTold ? $" and {what.Count - MostTold} more" : "");
        _log.LogWarning("Steering repaired, somebody had changed it {Changes} {What}", what.Count, told);
        if (_pace.Note(Environment.TickCount64))
        {
            _contested = $"somebody keeps removing our steering ({told}): it was put back {RepairPace.Burst} times within {RepairPace.WindowMs / 1000} s, " +
                $"from now on every {RepairPace.PauseMs / 1000} s only; find who does it and stop it";
            _log.LogError("Steering is contested {Reason}", _contested);
            Contested?.Invoke(_contested);
        }
    }
}
