# Runs a server for as long as standard input stays open, then ends it and removes its directory.
#
# The test process holds the other end of standard input, so the server goes with it, even when the test process
# is killed. (A signal at the parent's death is not enough: Linux sends it when the *thread* that started the
# server ends, and it would leave the directory behind.)
#
# usage: supervise SIGNAL DIRECTORY COMMAND...
signal=$1 directory=$2
shift 2

exec 3<&0
# The number first, whatever the server has to say.
sh -c 'echo "$$"; exec "$@"' server "$@" </dev/null 2>&1 3<&- &
server=$!
# The server alone now holds the output, so that its end tells the server's.
exec >/dev/null 2>&1 </dev/null

read -r _ <&3

# Until `wait`, a server that has ended keeps its number: no stranger gets the signal.
kill -s "$signal" "$server"
kill -s CONT "$server"
(
    tenths=0
    while [ "$tenths" -lt 50 ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    kill -s KILL "$server"
) &
wait "$server"
kill "$!"
rm -rf -- "$directory"
