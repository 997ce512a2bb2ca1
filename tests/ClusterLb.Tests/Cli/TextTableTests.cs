using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

public sealed class TextTableTests
{
    [Fact]
    public void Columns_are_aligned_and_lines_never_end_in_blanks()
    {
        var table = new TextTable("ID", "Frontend", "Backend");
        table.Add("4", "10.104.239.135:80/TCP", "1 => 10.217.0.107:80/TCP (active)\n2 => 10.217.0.108:80/TCP (active)");
        table.Add("12345", "[fd00::1]:80/TCP", "");

        Assert.Equal(
            """
            ID      Frontend                Backend
            4       10.104.239.135:80/TCP   1 => 10.217.0.107:80/TCP (active)
                                            2 => 10.217.0.108:80/TCP (active)
            12345   [fd00::1]:80/TCP

            """,
            CliRun.Text(t => table.WriteTo(t.Out, t.Width)));
    }

    [Fact]
    public void On_a_narrow_screen_the_last_column_goes_on_below()
    {
        var table = new TextTable("ID", "Words");
        table.Add("1", "one two three four five");

        Assert.Equal(
            """
            ID   Words
            1    one two three
                 four five

            """,
            CliRun.Text(t => table.WriteTo(t.Out, 20)));
    }

    [Fact]
    public void Without_rows_the_headings_remain() =>
        Assert.Equal("A   B\n", CliRun.Text(t => new TextTable("A", "B").WriteTo(t.Out, 80)));
}
