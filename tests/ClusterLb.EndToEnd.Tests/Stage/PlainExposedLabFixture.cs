namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>As <see cref="ExposedLabFixture"/>, without offloads and with one queue per device.</summary>
public sealed class PlainExposedLabFixture : ExposedLabFixture
{
    protected override string Tag => "y";

    protected override int Queues => 1;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        SwitchOffloadsOff();
    }
}
