namespace ClusterLb.Agent.Steering;

/// <content>Our two tables of nft, that of family inet and that of family bridge.</content>
public sealed partial class NodeSteering
{
    /// <summary>Our table, as nft names it.</summary>
    internal const string InetTable = $"inet {NftRuleset.Table}";

    /// <summary>The table of family bridge, which is there only while pods are ports of a bridge.</summary>
    internal const string BridgeTable = $"bridge {BridgeRuleset.Table}";

    private readonly HashSet<string> _listed = []; // whose listing in the record is of this process, and so of the nft that is installed now

    /// <summary>One of our tables as nft lists it; empty if it is not there.</summary>
    internal static string ListNft(string table) =>
        Tool.Run("nft", ["-s", "-n", "list", "table", .. table.Split(' ')], tolerate: "No such file or directory");

    private void RepairNft(string table, string wanted, LoadedNft? loaded, Action<LoadedNft> remember)
    {
        if (loaded is not null && loaded.Loaded == wanted && ListNft(table) == loaded.Listed)
        {
            return;
        }

        Tool.Run("nft", ["-f", "-"], wanted);

        // How nft lists it is asked once: later somebody who removes rules again and again may have been there before the listing.
        if (loaded is null || loaded.Loaded != wanted || !_listed.Contains(table))
        {
            string listed = ListNft(table);
            remember(listed.Length > 0 ? new LoadedNft(wanted, listed) : throw new SteeringException(
                $"The nft table {table} was gone right after it had been loaded: somebody removes it."));
            _file.Save(Record);
            _listed.Add(table);
        }

        Changed("nft", $"table {table}");
    }

    private static void CheckFreeNft(string table)
    {
        if (ListNft(table).Length > 0)
        {
            throw new SteeringException(
                $"nft has a table {table} that this state directory does not know of. If no other agent runs here, remove it: nft delete table {table}");
        }
    }

    private static void RemoveNft(string table) => Tool.Run("nft", ["-f", "-"], $"table {table}\ndelete table {table}\n");
}
