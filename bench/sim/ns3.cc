// The networks of bench/sim.ts in ns-3: ns3 <datagrams|tcp|hosts>. Prints how much was done a second of real time.

#include <chrono>
#include <cstdio>
#include <cstring>

#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/csma-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"

using namespace ns3;

static double
RealTime()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/** Two hosts on a cable. */
static Ipv4InterfaceContainer
Pair(NodeContainer& nodes, int number, const char* rate, const char* delay)
{
    nodes.Create(2);
    PointToPointHelper cable;
    cable.SetDeviceAttribute("DataRate", StringValue(rate));
    cable.SetChannelAttribute("Delay", StringValue(delay));
    NetDeviceContainer devices = cable.Install(nodes);
    InternetStackHelper().Install(nodes);
    char network[32];
    std::snprintf(network, sizeof network, "10.%d.%d.0", 1 + number / 250, number % 250);
    Ipv4AddressHelper addresses;
    addresses.SetBase(network, "255.255.255.0");
    return addresses.Assign(devices);
}

/** 50 pairs of hosts; one of each sends 512 bytes every millisecond for two seconds. */
static double
Datagrams()
{
    uint64_t received = 0;
    ApplicationContainer servers;
    for (int number = 0; number < 50; number++)
    {
        NodeContainer nodes;
        Ipv4InterfaceContainer addresses = Pair(nodes, number, "1Gbps", "1ms");
        UdpServerHelper server(9);
        servers.Add(server.Install(nodes.Get(0)));
        UdpClientHelper client(addresses.GetAddress(0), 9);
        client.SetAttribute("MaxPackets", UintegerValue(2000));
        client.SetAttribute("Interval", TimeValue(MilliSeconds(1)));
        client.SetAttribute("PacketSize", UintegerValue(512));
        client.Install(nodes.Get(1));
    }
    Simulator::Stop(Seconds(2.5));
    double start = RealTime();
    Simulator::Run();
    double elapsed = RealTime() - start;
    for (uint32_t index = 0; index < servers.GetN(); index++)
    {
        received += servers.Get(index)->GetObject<UdpServer>()->GetReceived();
    }
    return received / elapsed;
}

/** 10 pairs of hosts; one of each sends 5 MB through 100 Mbit/s and 5 ms. */
static double
Tcp()
{
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(4 << 20));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(4 << 20));
    ApplicationContainer sinks;
    for (int number = 0; number < 10; number++)
    {
        NodeContainer nodes;
        Ipv4InterfaceContainer addresses = Pair(nodes, number, "100Mbps", "5ms");
        Address local(InetSocketAddress(Ipv4Address::GetAny(), 7));
        sinks.Add(PacketSinkHelper("ns3::TcpSocketFactory", local).Install(nodes.Get(0)));
        BulkSendHelper source("ns3::TcpSocketFactory", InetSocketAddress(addresses.GetAddress(0), 7));
        source.SetAttribute("MaxBytes", UintegerValue(5000000));
        source.Install(nodes.Get(1));
    }
    Simulator::Stop(Seconds(60));
    double start = RealTime();
    Simulator::Run();
    double elapsed = RealTime() - start;
    uint64_t received = 0;
    for (uint32_t index = 0; index < sinks.GetN(); index++)
    {
        received += sinks.Get(index)->GetObject<PacketSink>()->GetTotalRx();
    }
    if (received != 50000000)
    {
        std::fprintf(stderr, "%llu bytes arrived\n", static_cast<unsigned long long>(received));
    }
    return received / 1e6 / elapsed;
}

/** 1000 hosts on ten LANs. */
static double
Hosts()
{
    double start = RealTime();
    for (int lan = 0; lan < 10; lan++)
    {
        NodeContainer nodes;
        nodes.Create(100);
        CsmaHelper segment;
        segment.SetChannelAttribute("DataRate", StringValue("1Gbps"));
        NetDeviceContainer devices = segment.Install(nodes);
        InternetStackHelper().Install(nodes);
        char network[32];
        std::snprintf(network, sizeof network, "10.%d.0.0", 1 + lan);
        Ipv4AddressHelper addresses;
        addresses.SetBase(network, "255.255.0.0");
        addresses.Assign(devices);
    }
    Simulator::Stop(MilliSeconds(10));
    Simulator::Run();
    return 1000 / (RealTime() - start);
}

int
main(int argc, char** argv)
{
    const char* what = argc > 1 ? argv[1] : "";
    double rate = std::strcmp(what, "tcp") == 0 ? Tcp() : std::strcmp(what, "hosts") == 0 ? Hosts() : Datagrams();
    std::printf("%f\n", rate);
    Simulator::Destroy();
    return 0;
}
