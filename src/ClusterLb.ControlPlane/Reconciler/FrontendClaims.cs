using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Who owns a frontend that several services name, whatever order they came in: whose ClusterIP it is, then whose load balancer's
/// address, then whose external IP; of those the oldest, then the first by name.</summary>
/// <remarks>ClusterIPs are given by the API server, load balancer addresses by a controller; anyone may write any address into externalIPs
/// (CVE-2020-8554), so that must not take the others over.</remarks>
internal sealed class FrontendClaims
{
    private readonly Dictionary<FrontendKey, Claim> _owners = [];
    private readonly Dictionary<FrontendKey, SortedSet<Claim>> _waiting = []; // of contested frontends only

    public int Count => _owners.Count;

    public bool IsOwned(FrontendKey key) => _owners.ContainsKey(key);

    public bool IsOwner(FrontendKey key, ObjectName service) => _owners.TryGetValue(key, out Claim owner) && owner.Service == service;

    public Claim OwnerOf(FrontendKey key) => _owners[key];

    /// <summary>Claims a frontend, again or anew.</summary>
    /// <param name="key">The frontend.</param>
    /// <param name="claim">Who wants it.</param>
    /// <param name="displaced">Another service that has lost it by this, and must be synced again.</param>
    /// <returns>True if the claimant owns the frontend now.</returns>
    public bool TryClaim(FrontendKey key, Claim claim, out ObjectName? displaced)
    {
        displaced = null;
        if (!_owners.TryGetValue(key, out Claim owner) || owner.Service == claim.Service)
        {
            _owners[key] = claim;
            if (!_waiting.TryGetValue(key, out SortedSet<Claim>? others) || others.Min.CompareTo(claim) > 0)
            {
                return true;
            }

            owner = claim; // recreated, younger than one that waits
            claim = others.Min;
            others.Remove(claim);
            others.Add(owner);
            _owners[key] = claim;
            displaced = claim.Service;
            return false;
        }

        Forget(key, claim.Service);
        bool isOlder = claim.CompareTo(owner) < 0;
        if (!_waiting.TryGetValue(key, out SortedSet<Claim>? waiting))
        {
            _waiting.Add(key, waiting = []);
        }

        waiting.Add(isOlder ? owner : claim);
        if (isOlder)
        {
            _owners[key] = claim;
            displaced = owner.Service;
        }

        return isOlder;
    }

    /// <summary>Gives a claim up.</summary>
    /// <returns>The service that owns the frontend now and must be synced again, if there is one.</returns>
    public ObjectName? Release(FrontendKey key, ObjectName service)
    {
        if (!IsOwner(key, service))
        {
            Forget(key, service);
            return null;
        }

        _owners.Remove(key);
        if (!_waiting.TryGetValue(key, out SortedSet<Claim>? waiting))
        {
            return null;
        }

        Claim next = waiting.Min;
        Forget(key, next.Service);
        _owners[key] = next;
        return next.Service;
    }

    private void Forget(FrontendKey key, ObjectName service)
    {
        if (_waiting.TryGetValue(key, out SortedSet<Claim>? waiting))
        {
            waiting.RemoveWhere(c => c.Service == service);
            if (waiting.Count == 0)
            {
                _waiting.Remove(key);
            }
        }
    }

    /// <summary>A service, its age, and as what it wants the frontend.</summary>
    internal readonly record struct Claim(ServiceFlags Kind, DateTimeOffset CreatedAt, ObjectName Service) : IComparable<Claim>
    {
        /// <summary>The lower one has it.</summary>
        public int Rank =>
            Kind.HasFlag(ServiceFlags.ExternalIp) ? 2 : Kind.HasFlag(ServiceFlags.LoadBalancer) ? 1 : 0;

        public int CompareTo(Claim other)
        {
            int byKind = Rank.CompareTo(other.Rank);
            int byAge = CreatedAt.CompareTo(other.CreatedAt);
            return byKind != 0 ? byKind : byAge != 0 ? byAge : Service.CompareTo(other.Service);
        }

        /// <summary>Why this one has the frontend and <paramref name="other"/> has not, in a few words about this one.</summary>
        public string Against(Claim other) => Rank.CompareTo(other.Rank) switch
        {
            0 => $"the older service {Service}",
            _ when Rank == 0 => $"service {Service}, whose ClusterIP it is",
            _ => $"service {Service}, whose load balancer's address it is",
        };
    }
}
