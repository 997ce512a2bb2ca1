using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Host;

public sealed class ControlSocketTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"clb-{Guid.NewGuid():n}.sock");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void A_message_arrives_whole_with_its_descriptors()
    {
        (ControlConnection here, ControlConnection there) = Connect();
        using (here)
        using (there)
        {
            using SafeFileHandle file = File.OpenHandle("/proc/self/status");
            here.Send(new ControlMessage { Kind = ControlKind.Start, Id = 7, Descriptors = ["a", "b"] }, file, file);

            ControlMessage message = there.Receive(out SafeFileHandle[] descriptors)!;

            Assert.Equal((ControlKind.Start, 7L), (message.Kind, message.Id));
            Assert.Equal(["a", "b"], message.Descriptors!);
            Assert.Equal(2, descriptors.Length);
            Assert.All(descriptors, d => Assert.True(RandomAccess.Read(d, new byte[16], 0) > 0));
            Array.ForEach(descriptors, d => d.Dispose());
        }
    }

    [Fact]
    public void A_message_with_the_most_descriptors_arrives()
    {
        (ControlConnection here, ControlConnection there) = Connect();
        using (here)
        using (there)
        {
            using SafeFileHandle file = File.OpenHandle("/proc/self/status");
            here.Send(new ControlMessage { Kind = ControlKind.Start }, [.. Enumerable.Repeat(file, 253)]);

            Assert.NotNull(there.Receive(out SafeFileHandle[] descriptors));

            Assert.Equal(253, descriptors.Length);
            Array.ForEach(descriptors, d => d.Dispose());
        }
    }

    [Fact]
    public void The_end_of_the_peer_is_the_end_of_the_messages()
    {
        (ControlConnection here, ControlConnection there) = Connect();
        using (there)
        {
            here.Dispose();

            Assert.Null(there.Receive(out _));
            Assert.Throws<ControlSocketException>(() => there.Send(new ControlMessage { Kind = ControlKind.Status }));
        }
    }

    [Fact]
    public void Who_does_not_read_holds_nobody_up()
    {
        (ControlConnection here, ControlConnection there) = Connect();
        using (here)
        using (there)
        {
            var line = new ControlMessage { Kind = ControlKind.Log, LogText = new string('x', 10_000) };
            ControlSocketException e = Assert.Throws<ControlSocketException>(() =>
            {
                for (int i = 0; i < 10_000; i++)
                {
                    here.Send(line);
                }
            });
            Assert.Contains(Errno.Name(Errno.EAGAIN), e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Nobody_listens_on_a_socket_that_is_only_bound()
    {
        using ControlSocket socket = ControlSocket.Bind(_path);

        Assert.Null(ControlSocket.TryConnect(_path));
    }

    [Fact]
    public void A_path_that_is_too_long_is_refused_with_its_limit()
    {
        ControlSocketException e = Assert.Throws<ControlSocketException>(() => ControlSocket.Bind("/tmp/" + new string('x', 120)));
        Assert.Contains("107", e.Message, StringComparison.Ordinal);
    }

    private (ControlConnection Here, ControlConnection There) Connect()
    {
        using ControlSocket socket = ControlSocket.Bind(_path);
        socket.Listen();
        ControlConnection here = ControlSocket.TryConnect(_path)!;
        return (here, socket.Accept()!);
    }
}
