//! A topic's id. rdkafka has no safe call for the id yet, and without it a topic that was deleted and
//! made again cannot be told from the old one once it is longer.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    ptr,
    time::Duration,
};

use rdkafka::{
    bindings as sys,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    types::RDKafkaRespErr,
};

use crate::say;

/// Something of librdkafka's that must be given back.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it was made by librdkafka, is destroyed by the function that belongs to it, and only here.
            unsafe { (self.1)(self.0) }
        }
    }
}

/// Asks a broker for the id of a topic; `None` from brokers before 2.8, which have none.
///
/// # Errors
/// If there is no answer, or an error.
pub(crate) fn topic_id<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    broker: i32,
    timeout: Duration,
) -> Result<Option<String>, String> {
    let name = CString::new(topic).map_err(|_| say!("a topic's name has no NUL"))?;
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let client = consumer.client().native_ptr();
    // SAFETY: `client` lives as long as `consumer`. Everything made here is destroyed by `Owned`, in the reverse order.
    // What the result points to is copied before the event is destroyed.
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let topics = Owned(topics, sys::rd_kafka_TopicCollection_destroy);
        let api = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, api);
        let options = Owned(options, sys::rd_kafka_AdminOptions_destroy);
        sys::rd_kafka_AdminOptions_set_request_timeout(options.0, millis, ptr::null_mut(), 0);
        // Otherwise it would wait for the controller, which may be away while topics can be read.
        sys::rd_kafka_AdminOptions_set_broker(options.0, broker, ptr::null_mut(), 0);
        let queue = Owned(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy);
        sys::rd_kafka_DescribeTopics(client, topics.0, options.0, queue.0);
        // The request has its own end; the second is for it to be told.
        let event = sys::rd_kafka_queue_poll(queue.0, millis.saturating_add(1000));
        let event = Owned(event, sys::rd_kafka_event_destroy);
        if event.0.is_null() {
            return Err(say!("no answer"));
        }
        if sys::rd_kafka_event_error(event.0) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(sys::rd_kafka_event_error_string(event.0)));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        let mut count = 0;
        let list = if result.is_null() {
            ptr::null_mut()
        } else {
            sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count)
        };
        if list.is_null() || count == 0 {
            return Err(say!("an answer without the topic"));
        }
        read(*list)
    }
}

/// # Safety
/// `topic` points into a result that lives.
unsafe fn read(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<Option<String>, String> {
    // SAFETY: as the caller promises.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && sys::rd_kafka_error_code(error) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(sys::rd_kafka_error_string(error)));
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        Ok((!zero).then(|| text(sys::rd_kafka_Uuid_base64str(id))))
    }
}

/// # Safety
/// `text` is null, or a C string that lives.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return say!("unknown error");
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
