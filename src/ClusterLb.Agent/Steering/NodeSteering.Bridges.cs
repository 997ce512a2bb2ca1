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
                RemoveBridgeNft();
                Record.BridgeNft = null;
                _file.Save(Record);
                Changed("nft", $"no table bridge {BridgeRuleset.Table}");
            }

            return;
        }

        if (Record.BridgeNft is { } loaded && loaded.Loaded == wanted && ListBridgeNft() == loaded.Listed)
        {
            return;
        }

        if (Record.BridgeNft is null && ListBridgeNft().Length > 0)
        {
            throw new SteeringException($"nft has a table bridge {BridgeRuleset.Table} that this state directory does not know of. " +
                $"If no other agent runs here, remove it: nft delete table bridge {BridgeRuleset.Table}");
        }

        if (Record.BridgeNft is null)
        {
            Record.BridgeNft = new LoadedNft("", ""); // before the change: a killed agent leaves a record of more than it did, never of less
            _file.Save(Record);
        }

        Tool.Run("nft", ["-f", "-"], wanted);
        Record.BridgeNft = new LoadedNft(wanted, ListBridgeNft());
        _file.Save(Record);
        Changed("nft", $"table bridge {BridgeRuleset.Table}");
    }

    private static void RemoveBridgeNft() =>
        Tool.Run("nft", ["-f", "-"], $"table bridge {BridgeRuleset.Table}\ndelete table bridge {BridgeRuleset.Table}\n");

    private static string ListBridgeNft() =>
        Tool.Run("nft", ["-s", "-n", "list", "table", "bridge", BridgeRuleset.Table], tolerate: "No such file or directory");
}
