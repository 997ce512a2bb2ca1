namespace ClusterLb.Agent.Steering;

/// <content>The table of family bridge. It is there only while pods are ports of a bridge.</content>
public sealed partial class NodeSteering
{
    /// <summary>The kernel has nft's bridge family, and all that we use of it. Changes nothing.</summary>
    internal static bool CanTakeUpFromBridges()
    {
        try
        {
            Tool.Run("nft", ["--check", "-f", "-"], BridgeRuleset.Probe);
            return true;
        }
        catch (SteeringException e) when (e.InnerException is null)
        {
            return false; // it ran, and said no
        }
    }

    private void RepairBridges(string wanted)
    {
        if (wanted.Length == 0)
        {
            if (Record.BridgeNft is not null)
            {
                RemoveNft(BridgeTable);
                Record.BridgeNft = null;
                _file.Save(Record);
                Changed("nft", $"no table {BridgeTable}");
            }

            return;
        }

        if (Record.BridgeNft is null)
        {
            CheckFreeNft(BridgeTable);
            Record.BridgeNft = new LoadedNft("", ""); // before the change: a killed agent leaves a record of more than it did, never of less
            _file.Save(Record);
        }

        RepairNft(BridgeTable, wanted, Record.BridgeNft, loaded => Record.BridgeNft = loaded);
    }
}
