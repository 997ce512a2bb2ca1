using System.Buffers;
using System.Text;
using System.Text.Json;
using ClusterLb.ControlPlane.Kubernetes.Api;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>A list, and a line of a watch, read in whatever pieces they arrive.</summary>
public sealed class ListPageTests
{
    private const int TooLarge = (32 << 20) + 1; // bytes

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(10_000)]
    public void A_page_means_the_same_in_pieces_of_any_size(int size)
    {
        byte[] text = Encoding.UTF8.GetBytes(
            """
            {"kind": "ServiceList", "unknown": [{"items": [1]}], "metadata": {"resourceVersion": "17", "continue": "more"},
             "items": [{"metadata": {"name": "a\"}]"}}, {"metadata": {"name": "b"}, "items": []}]}
            """);
        var page = new ListPage();
        var names = new List<string?>();
        int taken = 0;
        for (int end = 0; end < text.Length;)
        {
            end = Math.Min(end + size, text.Length);
            var arrived = new ReadOnlySequence<byte>(text, taken, end - taken);
            SequencePosition used = page.Take(arrived, isFinal: end == text.Length, item => names.Add(item.GetProperty("metadata").GetProperty("name").GetString()));
            taken += (int)arrived.Slice(0, used).Length;
        }

        Assert.True(page.IsComplete);
        Assert.Equal(["a\"}]", "b"], names);
        Assert.Equal(("17", "more"), (page.ResourceVersion, page.Continue));
    }

    [Theory]
    [InlineData("[]", "no object")]
    [InlineData("""{"items": {}}""", "no array")]
    [InlineData("""{"items": [{"kind": "Service"}""", "end of ")]
    [InlineData("""{"items": [{"kind": "Service"}], """, "end of ")]
    public void What_is_no_list_or_not_all_of_one_is_an_error(string text, string says)
    {
        var e = Assert.ThrowsAny<JsonException>(() => new ListPage().Take(new(Encoding.UTF8.GetBytes(text)), isFinal: true, _ => { }));
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_object_without_end_is_not_kept_for_ever()
    {
        byte[] endless = new byte[TooLarge + 100];
        endless.AsSpan().Fill((byte)'x');
        """{"items": [{"metadata": {"name": " """u8.CopyTo(endless);

        var page = new ListPage();
        page.Take(new(endless, 0, 1 << 20), isFinal: false, _ => { }); // might still end
        Assert.Contains("larger than", Assert.Throws<JsonException>(() => page.Take(new(endless), isFinal: false, _ => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_without_end_is_not_kept_for_ever()
    {
        var endless = new ReadOnlySequence<byte>(new byte[TooLarge]);
        ReadOnlySequence<byte> early = endless.Slice(0, 1 << 20);

        Assert.False(JsonLine.TryTake(ref early, out _));
        Assert.Contains("longer than", Assert.Throws<JsonException>(() => JsonLine.TryTake(ref endless, out _)).Message, StringComparison.Ordinal);
    }
}
