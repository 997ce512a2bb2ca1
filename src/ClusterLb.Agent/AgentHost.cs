using ClusterLb.Agent.Logging;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <summary>The generic host around the agent: signals and logging, no configuration, nothing that reflects.</summary>
internal static class AgentHost
{
    private static readonly TimeSpan ShutdownPatience = TimeSpan.FromSeconds(20);

    /// <summary>A host with one service.</summary>
    public static IHost Build(KlogProvider log, Func<IServiceProvider, IHostedService> service)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "clusterlb" });
        builder.Logging.SetMinimumLevel(LogLevel.Trace); // the provider filters, by klog's verbosity
        builder.Logging.AddFilter("Microsoft", LogLevel.None); // a start that fails is said once, by whoever called
        builder.Logging.AddProvider(log);
        builder.Services.Configure<ConsoleLifetimeOptions>(lifetime => lifetime.SuppressStatusMessages = true);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownPatience);
        builder.Services.AddSingleton(service);
        return builder.Build();
    }
}
