using System.Diagnostics;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Runs checks and keeps what came of them: a line for each.</summary>
internal sealed class CheckList(Action<string> say, CancellationToken cancel)
{
    private readonly List<CheckResult> _results = [];
    private string _group = "";

    public IReadOnlyList<CheckResult> Results => _results;

    /// <summary>Runs all checks of a group. What keeps it from going on counts as one failed check.</summary>
    public async Task RunGroupAsync(ICheckGroup group, CheckBed bed)
    {
        _group = group.Name;
        await CheckAsync("the whole group ran", () => group.RunAsync(bed, this), silent: true);
        bed.Clear();
    }

    /// <summary>Runs one check: it passes when nothing is thrown.</summary>
    public Task CheckAsync(string name, Func<Task> check) => CheckAsync(name, check, silent: false);

    private async Task CheckAsync(string name, Func<Task> check, bool silent)
    {
        cancel.ThrowIfCancellationRequested();
        long started = Stopwatch.GetTimestamp();
        string failure = "";
        try
        {
            await check();
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            failure = e is CheckFailedException or LabException ? e.Message : $"{e.GetType().Name}: {e.Message}"; // the other checks go on
        }

        if (silent && failure.Length == 0)
        {
            return;
        }

        var result = new CheckResult(_group, name, failure, Stopwatch.GetElapsedTime(started));
        _results.Add(result);
        say($"  {(result.Passed ? "ok  " : "FAIL")} {_group}: {name} ({result.Elapsed.TotalSeconds:0.0} s){(result.Passed ? "" : "\n         " + failure)}");
    }
}
