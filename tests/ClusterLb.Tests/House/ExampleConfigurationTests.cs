using ClusterLb.Agent.Configuration;

namespace ClusterLb.Tests.House;

/// <summary>The example that README sends people to is a configuration that the agent takes without a word.</summary>
public sealed class ExampleConfigurationTests
{
    private const string Example = "deploy/config/clusterlb.yaml";

    [Fact]
    public void The_example_configuration_has_no_problem_and_no_unknown_field()
    {
        AgentOptionsResult result = AgentOptionsReader.Read(Repository.Read(Example), Example);

        Assert.Empty(result.Problems);
        Assert.Empty(result.Warnings);
        Assert.Empty(result.Options.Problems());
        Assert.Equal("/etc/clusterlb/manifests", result.Options.ManifestDirectory);
    }

    [Fact]
    public void It_says_the_defaults()
    {
        AgentOptionsResult said = AgentOptionsReader.Read(Repository.Read(Example), Example);
        var silent = new ClusterLb.Agent.AgentOptions();

        Assert.Equal(silent.Steering, said.Options.Steering);
        Assert.Equal(silent.Tun, said.Options.Tun);
        Assert.Equal(silent.Conntrack, said.Options.Conntrack);
        Assert.Equal(silent.Dataplane, said.Options.Dataplane);
    }
}
