namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>As <see cref="ExposedLabFixture"/>, without offloads.</summary>
public sealed class PlainExposedLabFixture : ExposedLabFixture
{
    protected override string Tag => "y";

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        SwitchOffloadsOff();
    }
}
