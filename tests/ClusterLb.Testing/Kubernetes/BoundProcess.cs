using System.Collections.Concurrent;
using System.Diagnostics;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>A server of the tests that ends when this process ends, however that ends: the kernel kills it.</summary>
public sealed class BoundProcess : IDisposable
{
    private static readonly BlockingCollection<Action> Starts = [];

    private readonly Process _process;

    // The kernel sends the signal when the thread that forked ends, not the process: threads of the pool come and go.
    static BoundProcess() => new Thread(() =>
    {
        foreach (Action start in Starts.GetConsumingEnumerable())
        {
            start();
        }
    })
    { IsBackground = true, Name = "starts bound processes" }.Start();

    private BoundProcess(Process process, string logFile)
    {
        _process = process;
        LogFile = logFile;
    }

    /// <summary>What it says, both streams.</summary>
    public string LogFile { get; }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts a program with its output appended to a file.</summary>
    public static async Task<BoundProcess> StartAsync(string logFile, params IReadOnlyList<string> command)
    {
        // setpriv(1) asks for the signal; the shell only opens the log, and both are replaced by the program.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" </dev/null >>\"$0\" 2>&1", logFile, "setpriv", "--pdeathsig", "KILL", .. command])
        {
            UseShellExecute = false,
        };
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Starts.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(start)!);
            }
            catch (System.ComponentModel.Win32Exception e)
            {
                started.SetException(e);
            }
        });
        return new BoundProcess(await started.Task, logFile);
    }

    /// <summary>The last lines of its log, for messages.</summary>
    public string LogTail(int lines) => File.Exists(LogFile) ? string.Join('\n', File.ReadAllLines(LogFile).TakeLast(lines)) : "(no log)";

    /// <summary>Ends it at once, as kill -9 does, and waits until it is gone.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Waits until it has ended, whoever ended it.</summary>
    public Task WaitForExitAsync() => _process.WaitForExitAsync();

    public void Dispose()
    {
        _process.Kill(); // of a process that has ended: nothing
        _process.WaitForExit();
        _process.Dispose();
    }
}
