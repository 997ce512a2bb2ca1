using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.EndToEnd.Tests.Stage;

namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>The kernel tells at once when somebody touches our tables.</summary>
public sealed class NftWatchTests
{
    [NamespaceFact]
    public async Task Changes_of_our_tables_and_lost_rules_of_FORWARD_are_told_and_those_of_others_ignored()
    {
        using var node = new SteeredNode();
        node.Install();
        int touched = 0;
        int forward = 0;
        using NftWatch watch = node.Inside(() => new NftWatch(NftRuleset.Table, () => Interlocked.Increment(ref touched), () => Interlocked.Increment(ref forward)));

        node.Nft("add table ip filter");
        node.Nft("add chain ip filter FORWARD");
        node.Nft("add chain ip filter INPUT");
        node.Nft("add rule ip filter FORWARD accept");
        node.Nft("add rule ip filter INPUT accept");
        node.Nft("flush chain ip filter INPUT");
        node.Nft("flush chain ip filter FORWARD");
        await Eventually.IsAsync("the lost rule was told", () => Volatile.Read(ref forward) == 1); // one: that of INPUT was not
        Assert.Equal(0, Volatile.Read(ref touched));

        node.Nft("flush chain inet clb post");
        await Eventually.IsAsync("the lost rules were told", () => Volatile.Read(ref touched) > 0);
        int before = Volatile.Read(ref touched);
        node.Nft("add table bridge clb"); // of another family
        await Eventually.IsAsync("the table of the bridges was told", () => Volatile.Read(ref touched) > before);
    }
}
