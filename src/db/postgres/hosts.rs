//! The servers that a URL names, each with settings of its own: the driver gives its time limit to reaching a
//! host, not to what the host says then, so that one that hangs would keep it from the next.

use tokio_postgres::Config;

/// Each host of `all` by itself.
pub(super) fn each(all: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
    (0..hosts.len().max(addresses.len()))
        .map(|number| {
            let mut one = common(all);
            match hosts.get(number) {
                Some(tokio_postgres::config::Host::Tcp(name)) => drop(one.host(name)),
                Some(tokio_postgres::config::Host::Unix(folder)) => drop(one.host_path(folder)),
                None => {}
            }
            addresses.get(number).map(|address| one.hostaddr(*address));
            // One port may stand for all.
            let port = ports.get(number).or(ports.first());
            port.map(|port| one.port(*port));
            one
        })
        .collect()
}

/// What holds for all of them.
fn common(all: &Config) -> Config {
    let mut one = Config::new();
    all.get_user().map(|user| one.user(user));
    all.get_password().map(|password| one.password(password));
    all.get_dbname().map(|name| one.dbname(name));
    all.get_options().map(|options| one.options(options));
    all.get_application_name().map(|name| one.application_name(name));
    all.get_connect_timeout().map(|limit| one.connect_timeout(*limit));
    all.get_tcp_user_timeout().map(|limit| one.tcp_user_timeout(*limit));
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding());
    all.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    all.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_port_and_all_else() {
        let all: Config =
            "postgres://u:p@a:1,b:2/d?target_session_attrs=read-write&keepalives_idle=7".parse().unwrap();
        let hosts = each(&all);
        assert_eq!(hosts.len(), 2);
        for (number, name) in ["a", "b"].into_iter().enumerate() {
            let one: Config = format!(
                "postgres://u:p@{name}:{}/d?target_session_attrs=read-write&keepalives_idle=7",
                number + 1
            )
            .parse()
            .unwrap();
            assert_eq!(hosts[number], one);
        }
        let shared: Config = "postgres://a,b:7/d".parse().unwrap();
        assert_eq!(each(&shared)[1].get_ports(), [7]);
        let socket: Config = "postgres://u@/d?host=/run/postgresql".parse().unwrap();
        assert_eq!(each(&socket), [socket]);
    }
}
