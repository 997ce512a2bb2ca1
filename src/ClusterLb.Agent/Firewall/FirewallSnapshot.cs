using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Firewall;

/// <summary>Every netfilter chain of the calling thread's network namespace, ours included, whichever program made it.</summary>
internal static class FirewallSnapshot
{
    /// <summary>Runs iptables-save, where it is installed, and nft. A node of thousands of services may take seconds.</summary>
    /// <exception cref="SteeringException">A program failed: no right, no kernel support.</exception>
    public static IReadOnlyList<FirewallChain> Read()
    {
        var chains = new List<FirewallChain>();
        foreach (string family in (string[])["ip", "ip6"])
        {
            // Which of the two kernels' interfaces plain iptables-save shows differs from machine to machine: both are read by name.
            string nftVariant = Tool.Find($"{family}tables-nft-save") is not null ? $"{family}tables-nft-save" : $"{family}tables-save";
            if (Tool.Find(nftVariant) is not null)
            {
                chains.AddRange(IptablesSave.Parse($"{family}tables", Tool.Run(nftVariant, [])));
            }

            if (HasLegacyTables(family) && Tool.Find($"{family}tables-legacy-save") is not null)
            {
                chains.AddRange(IptablesSave.Parse($"{family}tables-legacy", Tool.Run($"{family}tables-legacy-save", [])));
            }
        }

        // Of what iptables made, iptables-save shows all words; nft knows of many only that they are there.
        HashSet<(string, string, string)> known = [.. chains.Select(Key)];
        chains.AddRange(NftListing.Parse(Tool.Run("nft", ["-j", "-t", "list", "ruleset"])).Where(chain => !known.Contains(Key(chain))));
        return chains;

        static (string, string, string) Key(FirewallChain chain) => (chain.Family, chain.Table, chain.Name);
    }

    /// <summary>Tables that only iptables-legacy shows; reading their list loads no module.</summary>
    internal static bool HasLegacyTables(string family)
    {
        try
        {
            return File.ReadLines($"/proc/thread-self/net/{family}_tables_names").Any();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
    }
}
