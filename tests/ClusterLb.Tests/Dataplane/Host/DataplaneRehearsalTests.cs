using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Host;

public sealed class DataplaneRehearsalTests
{
    [Fact]
    public void A_connection_of_each_family_is_translated_there_and_back() => Assert.Equal(4, DataplaneRehearsal.Run(patienceMs: 30_000));

    [Fact]
    public void It_waits_for_nothing_once_the_real_thing_has_begun()
    {
        using SafeFileHandle begun = TunInterop.CreateEvent();
        TunInterop.Signal(begun);

        Assert.Equal(0, DataplaneRehearsal.Run(patienceMs: 30_000, until: begun));
    }
}
