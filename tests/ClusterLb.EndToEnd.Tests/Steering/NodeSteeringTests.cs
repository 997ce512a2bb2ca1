using System.Text.Json.Nodes;
using ClusterLb.Agent;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;

namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>What steering installs into a real kernel, and that it takes all of it away again.</summary>
public sealed class NodeSteeringTests
{
    [NamespaceFact]
    public void Installs_rules_routes_and_marks_of_both_families()
    {
        using var node = new SteeredNode();
        node.Install();

        foreach (string family in (string[])["-4", "-6"])
        {
            string rules = node.Ip($"{family} rule");
            Assert.StartsWith(
                "10:\tfrom all iif clb0 goto 100\n20:\tfrom all fwmark 0x10000/0x10000 lookup 210\n40:\tfrom all lookup 200\n" +
                "100:\tfrom all lookup local\n32766:\tfrom all lookup main\n",
                rules);
        }

        Assert.Contains("10.96.0.0/12 dev clb0 scope link src 10.0.0.1 advmss 1360", node.Ip("route show table 200"));
        Assert.Contains("unreachable 10.96.0.0/12 metric 4000", node.Ip("route show table 200"));
        Assert.Contains("fd00:10:96::/108 dev clb0 src fd00::1 metric 1024 advmss 1340", node.Ip("-6 route show table 200"));
        Assert.Contains("default dev clb0 scope link", node.Ip("route show table 210"));
        Assert.Contains("unreachable default dev lo metric 4000", node.Ip("-6 route show table 210"));
        Assert.Contains("inet 169.254.77.1/32 scope link clb0", node.Ip("addr show dev clb0"));
        Assert.DoesNotContain("inet6", node.Ip("addr show dev clb0"));
        Assert.Contains("mtu 1400", node.Ip("link show dev clb0"));
        Assert.Contains("qlen 1000", node.Ip("link show dev clb0"));
        string nft = node.Nft("list table inet clb");
        Assert.Contains("iifname \"clb0\" ct state new ct mark set ct mark | 0x00010000", nft);
        Assert.Contains("snat ip6 to ip6 saddr", nft);
        Assert.Equal("1", node.Sysctl("ipv4/ip_forward"));
        Assert.Equal("1", node.Sysctl("ipv6/conf/all/forwarding"));
        Assert.Equal("2", node.Sysctl("ipv4/conf/clb0/rp_filter"));
        Assert.Equal("1", node.Sysctl("ipv4/conf/clb0/accept_local"));
        Assert.Contains("clb0", node.Ip("route get 10.96.0.10"));
        Assert.Contains("src 10.0.0.1", node.Ip("route get 10.96.0.10"));
    }

    [NamespaceFact]
    public void Installing_again_changes_nothing()
    {
        using var node = new SteeredNode();
        Assert.NotEqual(0, node.Install());
        string before = node.State();

        Assert.Equal(0, node.Install());
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void Bridges_of_pods_get_a_table_that_goes_with_them_and_with_all_else()
    {
        using var node = new SteeredNode();
        string before = node.State();
        SteeringInputs bridged = node.Inputs with
        {
            BridgeNft = BridgeRuleset.Render(
                [
                    new PodBridge("cni0", "02:00:00:00:00:07", IpPrefix.Parse("10.244.1.0/24"), BridgeFix.ConnectionMark),
                    new PodBridge("cni0", "02:00:00:00:00:07", IpPrefix.Parse("fd10:244:0:1::/64"), BridgeFix.Routed),
                ],
                node.Inputs.Options),
        };
        node.Install();

        Assert.Equal(1, node.Install(bridged));
        Assert.Equal(0, node.Install(bridged));
        Assert.Contains("ether daddr set 02:00:00:00:00:07", node.Nft("list table bridge clb"), StringComparison.Ordinal);
        node.Nft("flush table bridge clb");
        Assert.Equal(1, node.Install(bridged)); // put back
        Assert.Equal(1, node.Install()); // the bridge is gone
        Assert.DoesNotContain("table bridge", node.Nft("list ruleset"), StringComparison.Ordinal);

        node.Install(bridged);
        Assert.True(node.Remove());
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void A_table_that_is_removed_right_after_it_was_loaded_does_not_count_as_installed()
    {
        using var node = new SteeredNode();
        node.Install();
        string gone = $"table {NodeSteering.BridgeTable}\ndelete table {NodeSteering.BridgeTable}\n"; // in one file: nobody is quicker

        var told = Assert.Throws<SteeringException>(() => node.Install(node.Inputs with { BridgeNft = gone }));

        Assert.Contains("table bridge clb was gone right after it had been loaded", told.Message, StringComparison.Ordinal);
        Assert.Throws<SteeringException>(() => node.Install(node.Inputs with { BridgeNft = gone })); // it is tried again, not taken for right
    }

    [NamespaceFact]
    public void A_bridge_table_of_somebody_else_is_not_touched()
    {
        using var node = new SteeredNode();
        node.Nft("add table bridge clb");

        var refused = Assert.Throws<SteeringException>(() => node.Install(node.Inputs with
        {
            BridgeNft = BridgeRuleset.Render(
                [new PodBridge("cni0", "02:00:00:00:00:07", IpPrefix.Parse("10.244.1.0/24"), BridgeFix.Routed)], node.Inputs.Options),
        }));

        Assert.Contains("nft delete table bridge clb", refused.Message, StringComparison.Ordinal);
        node.Remove();
        Assert.Contains("table bridge clb", node.Nft("list ruleset"), StringComparison.Ordinal);
    }

    [NamespaceFact]
    public void Removal_leaves_the_node_as_it_was_found()
    {
        using var node = new SteeredNode();
        node.SetSysctl("ipv4/conf/up1/forwarding", "1"); // differs from "all": writing that must not lose it
        node.SetSysctl("ipv4/conf/all/accept_redirects", "0");
        node.SetSysctl("ipv4/ip_local_reserved_ports", "8080,61500-61600");
        node.SetSysctl("ipv4/ip_local_port_range", "32768\t65000");
        string before = node.State();

        node.Install();
        Assert.Equal("8080,61000-65535", node.Sysctl("ipv4/ip_local_reserved_ports"));
        Assert.True(node.Remove());

        Assert.Equal(before, node.State());
        Assert.Empty(Directory.EnumerateFileSystemEntries(node.StateDirectory));
        Assert.False(node.Remove());
    }

    [NamespaceFact]
    public void Where_the_kernel_hands_out_all_ports_only_the_first_range_is_taken_from_it_and_again_if_somebody_gives_it_back()
    {
        using var node = new SteeredNode();
        node.SetSysctl("ipv4/ip_local_port_range", "1024\t65535");
        node.Install();
        Assert.Equal("61000-65535", node.Sysctl("ipv4/ip_local_reserved_ports"));
        Assert.True(node.Inside(() => node.Steering().HasSettings(node.Inputs)));

        node.SetSysctl("ipv4/ip_local_reserved_ports", "8080");

        Assert.False(node.Inside(() => node.Steering().HasSettings(node.Inputs)));
        Assert.Equal(1, node.Install());
        Assert.Equal("8080,61000-65535", node.Sysctl("ipv4/ip_local_reserved_ports"));
    }

    [NamespaceFact]
    public void Removal_takes_the_routes_of_an_agent_that_was_killed_before_its_rules()
    {
        using var node = new SteeredNode();
        node.SetSysctl("ipv4/ip_forward", "1");
        node.SetSysctl("ipv6/conf/all/forwarding", "1");
        string before = node.State();
        node.Install();
        SteeringOptions options = node.Inputs.Options;
        foreach (string family in (string[])["-4", "-6"])
        {
            node.Ip($"{family} rule add pref 0 lookup local protocol kernel");
            foreach (int priority in (int[])[options.EmittedPriority, options.MarkPriority, options.ServicePriority, options.LocalPriority])
            {
                node.Ip($"{family} rule del pref {priority}");
            }
        }

        string file = Path.Combine(node.StateDirectory, "steering.json");
        JsonObject record = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        Assert.True(record.Remove("foundRulesIpv4") && record.Remove("foundRulesIpv6")); // they are written down once the routes are there
        File.WriteAllText(file, record.ToJsonString());

        Assert.Contains("unreachable", node.Ip("route show table 200"));
        Assert.DoesNotContain("lookup 200", node.Ip("rule"));

        Assert.True(node.Remove());
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void A_node_without_IPv6_is_steered_in_IPv4_only()
    {
        using var node = new SteeredNode(ipv6: false);
        string rules = node.Ip("-6 rule");
        string before = node.State();

        node.Install();
        Assert.Equal(rules, node.Ip("-6 rule"));
        Assert.Equal("0", node.Sysctl("ipv6/conf/all/forwarding"));

        node.Remove();
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void IPv6_that_comes_later_is_added_without_touching_IPv4()
    {
        using var node = new SteeredNode();
        string before = node.State();
        node.Install(node.Inputs with { Ipv6 = null });
        string ipv4 = node.Ip("-4 rule") + node.Ip("-4 route show table all");

        Assert.NotEqual(0, node.Install());
        Assert.Equal(ipv4, node.Ip("-4 rule") + node.Ip("-4 route show table all"));
        Assert.Contains("lookup 200", node.Ip("-6 rule"));

        node.Remove();
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void What_somebody_else_removes_or_adds_is_repaired()
    {
        using var node = new SteeredNode();
        node.Install();
        string good = node.State();

        node.Ip("rule del pref 40");
        node.Ip("rule add pref 0 lookup local protocol kernel");
        node.Ip("-6 route flush table 200");
        node.Ip("route add 10.200.0.0/16 dev clb0 table 200");
        node.Ip("addr flush dev clb0");
        node.Nft("flush chain inet clb steer");
        node.SetSysctl("ipv4/conf/clb0/rp_filter", "0");

        Assert.NotEqual(0, node.Install());
        Assert.Equal(good, node.State());
        Assert.Equal(0, node.Install());
    }

    [NamespaceFact]
    public void A_changed_node_address_and_mtu_change_the_routes_in_place()
    {
        using var node = new SteeredNode();
        node.Install();
        node.Ip("addr add 10.0.0.2/24 dev up0");

        node.Install(node.Inputs with { Mtu = 1300, Ipv4 = node.Inputs.Ipv4! with { Source = IpAddr.Parse("10.0.0.2") } });

        Assert.Equal(
            "10.96.0.0/12 dev clb0 scope link src 10.0.0.2 advmss 1260 \nunreachable 10.96.0.0/12 metric 4000 \n",
            node.Ip("route show table 200"));
        Assert.Contains("mtu 1300", node.Ip("link show dev clb0"));
    }

    [NamespaceFact]
    public void A_range_that_goes_takes_its_routes_along()
    {
        using var node = new SteeredNode();
        node.Install();
        node.Install(node.Inputs with { Ipv4 = node.Inputs.Ipv4! with { Destinations = [IpPrefix.Parse("10.98.0.1/32")] } });

        Assert.Equal(
            "10.98.0.1 dev clb0 scope link src 10.0.0.1 advmss 1360 \nunreachable 10.98.0.1 metric 4000 \n",
            node.Ip("route show table 200"));
    }

    [NamespaceFact]
    public void Node_ports_are_elements_of_one_set_per_family()
    {
        using var node = new SteeredNode();
        node.Install(node.Inputs with { Ipv4 = node.Inputs.Ipv4! with { NodePorts = [(IpProtocol.Tcp, 30080), (IpProtocol.Udp, 30053)] } });
        string set = node.Nft("list set inet clb nodeports4");
        Assert.Contains("tcp . 30080", set);
        Assert.Contains("udp . 30053", set);
    }

    [NamespaceFact]
    public void A_taken_device_name_is_refused_and_nothing_is_left_behind()
    {
        using var node = new SteeredNode();
        node.Ip("tuntap add clb0 mode tun");
        string before = node.State();

        SteeringException refusal = Assert.Throws<SteeringException>(() => node.Install());

        Assert.Contains("'clb0'", refusal.Message);
        Assert.Contains("tun.name", refusal.Message);
        Assert.Equal(before, node.State());
        Assert.Empty(Directory.EnumerateFileSystemEntries(node.StateDirectory));
    }

    [NamespaceFact]
    public void A_table_or_priority_that_others_use_is_refused()
    {
        using var node = new SteeredNode();
        node.Ip("route add 192.0.2.0/24 dev up0 table 200");
        Assert.Contains("table 200", Assert.Throws<SteeringException>(() => node.Install()).Message);

        node.Ip("route flush table 200");
        node.Ip("-6 rule add pref 20 to fd99::/64 lookup main");
        Assert.Contains("20 ", Assert.Throws<SteeringException>(() => node.Install()).Message);

        node.Ip("-6 rule del pref 20");
        Assert.NotEqual(0, node.Install());
    }

    [NamespaceFact]
    public void A_local_rule_that_others_have_moved_already_stays_where_it_is()
    {
        using var node = new SteeredNode();
        node.Ip("rule add pref 100 lookup local");
        node.Ip("rule del pref 0");
        string before = node.State();

        node.Install();
        node.Remove();

        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void Another_configuration_replaces_what_the_old_one_installed()
    {
        using var node = new SteeredNode();
        string before = node.State();
        node.Install();
        SteeringOptions other = node.Inputs.Options with { ServiceTable = 300, ReplyMark = 0x40_0000 };

        node.Inside(() =>
        {
            NodeSteering steering = node.Steering();
            steering.Claim("clb0", other);
            return true;
        });

        Assert.DoesNotContain("lookup 200", node.Ip("rule"));
        Assert.Contains("clb0", node.Ip("link")); // a dataplane may serve it
        node.Install(node.Inputs with { Options = other });
        Assert.Contains("lookup 300", node.Ip("rule"));
        node.Remove();
        Assert.Equal(before, node.State());
    }

    [NamespaceFact]
    public void Another_device_name_takes_the_old_device_away()
    {
        using var node = new SteeredNode();
        string before = node.State();
        node.Install();
        node.CloseQueues();

        node.Install(node.Inputs with { Device = "lb0" });

        Assert.DoesNotContain("clb0", node.Ip("link"));
        Assert.Contains("iif lb0 goto 100", node.Ip("rule"));
        node.Remove();
        Assert.Equal(before, node.State());
    }

    [LabTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Steering_in_unusual_places_whose_record_is_lost_is_found_and_removed(bool withDevice)
    {
        using var node = new SteeredNode();
        node.Exec("iptables -A FORWARD -i up0 -j ACCEPT"); // a stranger's, which stay
        node.Exec("ip6tables -A FORWARD -i up0 -j ACCEPT");
        node.SetSysctl("ipv6/conf/all/forwarding", "1"); // a setting, which stays, and has routes of its own
        string before = WithoutSettings(node.State());
        node.Install(node.Inputs with
        {
            Device = "lb0",
            Options = new SteeringOptions
            {
                ServiceTable = 300,
                MarkTable = 310,
                EmittedPriority = 11,
                MarkPriority = 22,
                ServicePriority = 33,
                LocalPriority = 111,
                ReplyMark = 0x40_0000,
                OriginalMark = 0x80_0000,
                AcceptForwarding = true,
            },
        });
        Assert.Contains("22:\tfrom all fwmark 0x400000/0x400000 lookup 310", node.Ip("rule"), StringComparison.Ordinal);
        File.Delete(Path.Combine(node.StateDirectory, "steering.json"));
        if (!withDevice)
        {
            node.CloseQueues();
            node.Ip("link del lb0");
        }

        Assert.True(node.Inside(() =>
        {
            NodeSteering steering = node.Steering();
            return steering.FindLeftovers() && steering.Remove();
        }));

        Assert.Equal(before, WithoutSettings(node.State()));
    }

    [NamespaceFact]
    public void Rules_of_others_are_not_taken_for_steering_whose_record_is_lost()
    {
        using var node = new SteeredNode();
        foreach (string command in (string[])
            ["rule add pref 11 iif lb0 goto 111", "rule add pref 111 lookup local", "rule add pref 33 lookup 300", "route add 192.0.2.0/24 dev up0 table 300"])
        {
            node.Ip(command);
        }

        Assert.False(node.Inside(() => node.Steering().FindLeftovers()));
    }

    [NamespaceFact]
    public void A_setting_of_the_kernels_flow_table_that_cannot_be_written_stops_nothing()
    {
        using var node = new SteeredNode();
        SteeringInputs inputs = node.Inputs with
        {
            Conntrack = new KernelConntrackOptions
            {
                TcpEstablishedTimeout = TimeSpan.FromDays(1_000_000), // the kernel refuses it
                Min = 100_000_000, // a network namespace may not set it
            },
        };

        Assert.NotEqual(0, node.Install(inputs));

        Assert.Equal(0, node.Install(inputs));
        Assert.Contains("Warning: A setting of the kernel's flow table cannot be written and stays as it is net/netfilter/nf_conntrack_tcp_timeout_established", $"{node.Log}", StringComparison.Ordinal);
        Assert.Contains("Warning: The kernel's flow table is smaller than configured", $"{node.Log}", StringComparison.Ordinal);
        Assert.Contains("lookup 200", node.Ip("rule"));
        Assert.Equal("3600", node.Sysctl("netfilter/nf_conntrack_tcp_timeout_close_wait")); // those that can are written
    }

    private static string WithoutSettings(string state) =>
        string.Join('\n', state.Split('\n').Where(line => !line.StartsWith("/proc/sys/", StringComparison.Ordinal)));
}
